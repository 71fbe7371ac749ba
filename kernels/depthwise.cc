// Depthwise 3×3 convolutions on NHWC, read in place. Outputs whose taps all lie inside the picture
// go through depthwise-inl.h; the border goes one output at a time.
#include <algorithm>

#include "base/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/depthwise.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/depthwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

// Multiply-adds that are worth a task of their own.
constexpr std::int64_t kTaskWork = 1 << 17;

// One output with the taps that exist.
void border_output(float* out, const RowTaps& x, const float* w, const float* bias,
                   const Clamp& bounds, std::int64_t ox, const ConvShape& s) {
  const std::int64_t channels = s.out_channels;
  const Range columns = taps_inside(ox, s.in_width, s.pad_left, s);
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    const std::int64_t rest = std::min(kLanes, channels - c);
    Vector sum = bias ? load_first(bias + c, rest) : hn::Zero(lanes);
    for (std::int64_t ky = x.inside.begin; ky < x.inside.end; ++ky)
      for (std::int64_t kx = columns.begin; kx < columns.end; ++kx) {
        const std::int64_t ix = ox * s.stride - s.pad_left + kx * s.dilation;
        sum = hn::MulAdd(load_first(x.rows[ky] + ix * channels + c, rest),
                         load_first(w + (ky * 3 + kx) * channels + c, rest), sum);
      }
    store_first(clamp(sum, bounds), out + c, rest);
  }
}

}  // namespace

void depthwise_row(float* out, const RowTaps& x, const float* w, const float* bias,
                   Activation activation, const ConvShape& s) {
  const std::int64_t channels = s.out_channels;
  const Range rows = x.inside;
  const Clamp bounds = clamp_of(activation);
  const bool fast = s.dilation == 1 && (s.stride == 1 || s.stride == 2);
  const Range inside = fast ? interior(s.out_width, s.in_width, s.pad_left, s) : Range{0, 0};
  for (std::int64_t ox = 0; ox < inside.begin; ++ox)
    border_output(out + ox * channels, x, w, bias, bounds, ox, s);
  if (inside.end > inside.begin) {
    DepthwiseInput in = {.rows = {},
                         .row_count = static_cast<int>(rows.end - rows.begin),
                         .position_stride = channels,
                         .weights = w + rows.begin * 3 * channels,
                         .tap_stride = channels,
                         .bias = bias,
                         .activation = activation};
    const std::int64_t ix = inside.begin * s.stride - s.pad_left;
    for (std::int64_t ky = rows.begin; ky < rows.end; ++ky)
      in.rows[ky - rows.begin] = x.rows[ky] + ix * channels;
    depthwise_run(in, s.stride, inside.end - inside.begin, out + inside.begin * channels, channels,
                  channels);
  }
  for (std::int64_t ox = inside.end; ox < s.out_width; ++ox)
    border_output(out + ox * channels, x, w, bias, bounds, ox, s);
}

void depthwise3x3(float* y, const float* x, const float* w, const float* bias,
                  Activation activation, ConvShape shape) {
  const ConvShape& s = shape;
  const std::int64_t in_row = s.in_width * s.in_channels, out_row = s.out_width * s.out_channels;
  parallel_for_range(
      s.batch * s.out_height, std::max<std::int64_t>(1, kTaskWork / (9 * out_row + 1)),
      [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        for (std::int64_t row = begin; row < end; ++row) {
          const float* picture = x + row / s.out_height * s.in_height * in_row;
          const RowTaps taps = row_taps(row % s.out_height, s,
                                        [=](std::int64_t iy) { return picture + iy * in_row; });
          depthwise_row(y + row * out_row, taps, w, bias, activation, s);
        }
      });
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
