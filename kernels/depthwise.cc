// Depthwise 3×3 convolutions on NHWC, read in place. Outputs whose taps all lie inside the picture
// go through depthwise-inl.h; the border goes one output at a time.
#include <algorithm>

#include "kernels/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/depthwise.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/depthwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {
namespace {

// Multiply-adds that are worth a task of their own.
constexpr std::int64_t kTaskWork = 1 << 17;

struct Depthwise {
  float* y;
  const float* x;
  const float* w;
  const float* bias;
  Activation activation;
  ConvShape shape;
};

// One output with the taps that exist.
void border_output(const Depthwise& p, float* out, const float* picture, std::int64_t oy,
                   std::int64_t ox, Range rows) {
  const ConvShape& s = p.shape;
  const std::int64_t channels = s.out_channels;
  const Range columns = taps_inside(ox, s.in_width, s.pad_left, s);
  const Clamp bounds = clamp_of(p.activation);
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    const std::int64_t rest = std::min(kLanes, channels - c);
    Vector sum = p.bias ? load_first(p.bias + c, rest) : hn::Zero(lanes);
    for (std::int64_t ky = rows.begin; ky < rows.end; ++ky)
      for (std::int64_t kx = columns.begin; kx < columns.end; ++kx) {
        const std::int64_t iy = oy * s.stride - s.pad_top + ky * s.dilation;
        const std::int64_t ix = ox * s.stride - s.pad_left + kx * s.dilation;
        sum = hn::MulAdd(load_first(picture + (iy * s.in_width + ix) * channels + c, rest),
                         load_first(p.w + (ky * 3 + kx) * channels + c, rest), sum);
      }
    store_first(clamp(sum, bounds), out + c, rest);
  }
}

void output_row(const Depthwise& p, std::int64_t row) {
  const ConvShape& s = p.shape;
  const std::int64_t channels = s.out_channels, oy = row % s.out_height;
  const float* picture = p.x + row / s.out_height * s.in_height * s.in_width * channels;
  float* out = p.y + row * s.out_width * channels;
  const Range rows = taps_inside(oy, s.in_height, s.pad_top, s);
  const bool fast = s.dilation == 1 && (s.stride == 1 || s.stride == 2);
  const Range inside = fast ? interior(s.out_width, s.in_width, s.pad_left, s) : Range{0, 0};
  for (std::int64_t ox = 0; ox < inside.begin; ++ox)
    border_output(p, out + ox * channels, picture, oy, ox, rows);
  if (inside.end > inside.begin) {
    DepthwiseInput in = {.rows = {},
                         .row_count = static_cast<int>(rows.end - rows.begin),
                         .position_stride = channels,
                         .weights = p.w + rows.begin * 3 * channels,
                         .tap_stride = channels,
                         .bias = p.bias,
                         .activation = p.activation};
    const std::int64_t ix = inside.begin * s.stride - s.pad_left;
    for (std::int64_t ky = rows.begin; ky < rows.end; ++ky)
      in.rows[ky - rows.begin] =
          picture + ((oy * s.stride - s.pad_top + ky) * s.in_width + ix) * channels;
    depthwise_run(in, s.stride, inside.end - inside.begin, out + inside.begin * channels, channels,
                  channels);
  }
  for (std::int64_t ox = inside.end; ox < s.out_width; ++ox)
    border_output(p, out + ox * channels, picture, oy, ox, rows);
}

}  // namespace

void depthwise3x3(float* y, const float* x, const float* w, const float* bias,
                  Activation activation, ConvShape shape) {
  const Depthwise p = {y, x, w, bias, activation, shape};
  const std::int64_t row_work = 9 * shape.out_width * shape.out_channels;
  parallel_for_range(shape.batch * shape.out_height,
                     std::max<std::int64_t>(1, kTaskWork / (row_work + 1)),
                     [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                       for (std::int64_t row = begin; row < end; ++row) output_row(p, row);
                     });
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
