// Gradients of depthwise 3×3 convolutions on NHWC.
#include <algorithm>

#include "base/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/depthwise_backward.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/depthwise-inl.h"
#include "kernels/partials-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

void depthwise3x3(float* y, const float* x, const float* w, const float* bias,
                  Activation activation, ConvShape shape);

namespace {

// Multiply-adds that are worth a task of their own.
constexpr std::int64_t kTaskWork = 1 << 17;

// --- dx ---

struct InputGradientRow {
  const float* const* dy;  // for each of the rows that are reached
  const Reach& rows;
  const float* w;
  const ConvShape& shape;
};

// dx at one position.
void input_position(const InputGradientRow& p, float* dx, std::int64_t ix) {
  const ConvShape& s = p.shape;
  const std::int64_t channels = s.in_channels;
  const Reach columns = reach_of(ix, s.out_width, s.pad_left, s);
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    const std::int64_t rest = std::min(kLanes, channels - c);
    Vector sum = hn::Zero(lanes);
    for (int i = 0; i < p.rows.count; ++i)
      for (int j = 0; j < columns.count; ++j)
        sum = hn::MulAdd(
            load_first(p.dy[i] + columns.outputs[j] * channels + c, rest),
            load_first(p.w + (p.rows.taps[i] * 3 + columns.taps[j]) * channels + c, rest), sum);
    store_first(sum, dx + c, rest);
  }
}

// Stride 2: dx at positions 2j - pad and 2j - pad + 1 for j = first, first + 1, … first + pairs,
// where outputs j - 1 and j exist.
template <bool kWhole>
void input_pairs(const InputGradientRow& p, float* dx, std::int64_t first, std::int64_t pairs,
                 std::int64_t channel) {
  const ConvShape& s = p.shape;
  const Reach& rows = p.rows;
  const std::int64_t channels = s.in_channels, rest = std::min(kLanes, channels - channel);
  Vector w[2][3];
  const float* from[2];
  for (int i = 0; i < 2; ++i) {
    // A row that is not there: once more the other one, times zero.
    const int row = std::min(i, rows.count - 1);
    from[i] = p.dy[row] + first * channels + channel;
    for (int tap = 0; tap < 3; ++tap)
      w[i][tap] = i < rows.count ? load_part<kWhole>(
                                       p.w + (rows.taps[row] * 3 + tap) * channels + channel, rest)
                                 : hn::Zero(lanes);
  }
  Vector before0 = load_part<kWhole>(from[0] - channels, rest);
  Vector before1 = load_part<kWhole>(from[1] - channels, rest);
  float* HWY_RESTRICT to = dx + (2 * first - s.pad_left) * channels + channel;
  for (std::int64_t j = 0; j < pairs; ++j, to += 2 * channels) {
    const Vector here0 = load_part<kWhole>(from[0] + j * channels, rest);
    const Vector here1 = load_part<kWhole>(from[1] + j * channels, rest);
    Vector even = hn::MulAdd(here0, w[0][0], hn::Mul(before0, w[0][2]));
    even = hn::MulAdd(here1, w[1][0], hn::MulAdd(before1, w[1][2], even));
    const Vector odd = hn::MulAdd(here1, w[1][1], hn::Mul(here0, w[0][1]));
    store_part<kWhole>(even, to, rest);
    store_part<kWhole>(odd, to + channels, rest);
    before0 = here0;
    before1 = here1;
  }
}

}  // namespace

void depthwise_input_row(float* dx, const float* const* dy, const Reach& rows, const float* w,
                         const ConvShape& s) {
  const InputGradientRow p = {dy, rows, w, s};
  const std::int64_t channels = s.in_channels;
  // Pairs inside: outputs first - 1 … and both positions exist.
  const std::int64_t first = std::max<std::int64_t>(1, (s.pad_left + 1) / 2);
  const std::int64_t last = std::min(s.out_width - 1, (s.in_width + s.pad_left - 2) / 2);
  const bool fast = s.stride == 2 && s.dilation == 1 && rows.count > 0 && s.pad_left >= 0;
  const std::int64_t pairs = fast ? std::max<std::int64_t>(0, last - first + 1) : 0;
  const std::int64_t begin = pairs > 0 ? 2 * first - s.pad_left : s.in_width;
  for (std::int64_t ix = 0; ix < begin; ++ix) input_position(p, dx + ix * channels, ix);
  if (pairs == 0) return;
  std::int64_t channel = 0;
  for (; channel + kLanes <= channels; channel += kLanes)
    input_pairs<true>(p, dx, first, pairs, channel);
  if (channel < channels) input_pairs<false>(p, dx, first, pairs, channel);
  for (std::int64_t ix = begin + 2 * pairs; ix < s.in_width; ++ix)
    input_position(p, dx + ix * channels, ix);
}

ConvShape reversed(const ConvShape& s) {
  ConvShape back = s;
  std::swap(back.in_height, back.out_height);
  std::swap(back.in_width, back.out_width);
  back.pad_top = 2 * s.dilation - s.pad_top;
  back.pad_left = 2 * s.dilation - s.pad_left;
  return back;
}

void reverse_taps(float* reversed, const float* w, std::int64_t channels) {
  for (std::int64_t tap = 0; tap < 9; ++tap)
    std::copy(w + tap * channels, w + (tap + 1) * channels, reversed + (8 - tap) * channels);
}

namespace {

// --- dw: sums over output rows, a vector of channels and the nine taps in registers ---

// Outputs whose dy is held at once.
constexpr int kOutputs = 4;
constexpr std::int64_t kMostParts = 32;

// sums[row][tap] += Σ over kCount neighbouring outputs.
template <int kRows, int kStride, int kCount, bool kWhole>
HWY_INLINE void add_outputs(Vector (&sums)[kRows][3], const float* HWY_RESTRICT dy,
                            const float* const* x, std::int64_t channels, std::int64_t rest) {
  Vector d[kCount];
  HWY_UNROLL(4)
  for (int i = 0; i < kCount; ++i) d[i] = load_part<kWhole>(dy + i * channels, rest);
  HWY_UNROLL(4)
  for (int row = 0; row < kRows; ++row) {
    HWY_UNROLL(16)
    for (int column = 0; column < (kCount - 1) * kStride + 3; ++column) {
      const Vector v = load_part<kWhole>(x[row] + column * channels, rest);
      HWY_UNROLL(4)
      for (int tap = 0; tap < 3; ++tap) {
        const int output = (column - tap) / kStride;
        if (column >= tap && (column - tap) % kStride == 0 && output < kCount)
          sums[row][tap] = hn::MulAdd(v, d[output], sums[row][tap]);
      }
    }
  }
}

// What one row of outputs, all of whose columns are inside, adds to the taps of kRows kernel rows.
template <int kRows, int kStride, bool kWhole>
HWY_INLINE void add_row_vector(float* HWY_RESTRICT dw, const float* dy, const float* const* rows,
                               std::int64_t outputs, std::int64_t channels, std::int64_t rest) {
  Vector sums[kRows][3];
  const float* x[kRows];
  HWY_UNROLL(4)
  for (int row = 0; row < kRows; ++row) {
    x[row] = rows[row];
    HWY_UNROLL(4)
    for (int tap = 0; tap < 3; ++tap) sums[row][tap] = hn::Zero(lanes);
  }
  for (; outputs > 0;) {
    const int count = outputs >= kOutputs ? kOutputs : 1;
    if (count == kOutputs)
      add_outputs<kRows, kStride, kOutputs, kWhole>(sums, dy, x, channels, rest);
    else
      add_outputs<kRows, kStride, 1, kWhole>(sums, dy, x, channels, rest);
    dy += count * channels;
    HWY_UNROLL(4)
    for (int row = 0; row < kRows; ++row) x[row] += count * kStride * channels;
    outputs -= count;
  }
  HWY_UNROLL(4)
  for (int row = 0; row < kRows; ++row) {
    HWY_UNROLL(4)
    for (int tap = 0; tap < 3; ++tap) {
      float* to = dw + (row * 3 + tap) * channels;
      store_part<kWhole>(hn::Add(load_part<kWhole>(to, rest), sums[row][tap]), to, rest);
    }
  }
}

template <int kRows, int kStride>
void add_row(float* dw, const float* dy, const float* const* rows, std::int64_t outputs,
             std::int64_t channels) {
  const float* x[kRows];
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    for (int row = 0; row < kRows; ++row) x[row] = rows[row] + c;
    const std::int64_t rest = std::min(kLanes, channels - c);
    if (rest == kLanes)
      add_row_vector<kRows, kStride, true>(dw + c, dy + c, x, outputs, channels, rest);
    else
      add_row_vector<kRows, kStride, false>(dw + c, dy + c, x, outputs, channels, rest);
  }
}

using AddRow = void (*)(float*, const float*, const float* const*, std::int64_t, std::int64_t);

AddRow add_row_of(int stride, std::int64_t rows) {
  static constexpr AddRow kernels[2][3] = {{add_row<1, 1>, add_row<2, 1>, add_row<3, 1>},
                                           {add_row<1, 2>, add_row<2, 2>, add_row<3, 2>}};
  return kernels[stride - 1][rows - 1];
}

// What the output at column ox adds to the taps that lie inside.
void add_position(float* dw, const float* dy, const RowTaps& rows, std::int64_t ox,
                  const ConvShape& s) {
  const std::int64_t channels = s.out_channels;
  const Range columns = taps_inside(ox, s.in_width, s.pad_left, s);
  for (std::int64_t ky = rows.inside.begin; ky < rows.inside.end; ++ky)
    for (std::int64_t kx = columns.begin; kx < columns.end; ++kx) {
      const std::int64_t ix = ox * s.stride - s.pad_left + kx * s.dilation;
      const float* x = rows.rows[ky] + ix * channels;
      float* to = dw + (ky * 3 + kx) * channels;
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        const std::int64_t rest = std::min(kLanes, channels - c);
        store_first(
            hn::MulAdd(load_first(x + c, rest), load_first(dy + c, rest), load_first(to + c, rest)),
            to + c, rest);
      }
    }
}

}  // namespace

void depthwise_weight_row(float* dw, const float* dy, const RowTaps& x, const ConvShape& s) {
  const std::int64_t channels = s.out_channels;
  const Range taps = x.inside;
  if (taps.begin == taps.end) return;
  const bool fast = s.dilation == 1 && (s.stride == 1 || s.stride == 2);
  const Range inside = fast ? interior(s.out_width, s.in_width, s.pad_left, s) : Range{0, 0};
  for (std::int64_t ox = 0; ox < inside.begin; ++ox) add_position(dw, dy + ox * channels, x, ox, s);
  if (inside.end > inside.begin) {
    const float* rows[3];
    const std::int64_t ix = inside.begin * s.stride - s.pad_left;
    for (std::int64_t ky = taps.begin; ky < taps.end; ++ky)
      rows[ky - taps.begin] = x.rows[ky] + ix * channels;
    add_row_of(s.stride, taps.end - taps.begin)(dw + taps.begin * 3 * channels,
                                                dy + inside.begin * channels, rows,
                                                inside.end - inside.begin, channels);
  }
  for (std::int64_t ox = inside.end; ox < s.out_width; ++ox)
    add_position(dw, dy + ox * channels, x, ox, s);
}

void depthwise3x3_backward_input(float* dx, const float* dy, const float* w, ConvShape shape) {
  const ConvShape& s = shape;
  if (s.stride == 1) {
    float* reverse = scratch(Scratch::partials, 9 * s.in_channels);
    reverse_taps(reverse, w, s.in_channels);
    return HWY_NAMESPACE::depthwise3x3(dx, dy, reverse, nullptr, Activation::none, reversed(s));
  }
  const std::int64_t in_row = s.in_width * s.in_channels, out_row = s.out_width * s.out_channels;
  parallel_for_range(s.batch * s.in_height, std::max<std::int64_t>(1, kTaskWork / (3 * in_row + 1)),
                     [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                       for (std::int64_t row = begin; row < end; ++row) {
                         const float* picture = dy + row / s.in_height * s.out_height * out_row;
                         const Reach reach =
                             reach_of(row % s.in_height, s.out_height, s.pad_top, s);
                         const float* from[3] = {};
                         for (int i = 0; i < reach.count; ++i)
                           from[i] = picture + reach.outputs[i] * out_row;
                         depthwise_input_row(dx + row * in_row, from, reach, w, s);
                       }
                     });
}

void depthwise3x3_backward_weight(float* dw, const float* dy, const float* x, ConvShape shape) {
  const ConvShape& s = shape;
  const std::int64_t in_row = s.in_width * s.in_channels, out_row = s.out_width * s.out_channels;
  const std::int64_t rows = s.batch * s.out_height, size = 9 * s.out_channels;
  const std::int64_t parts =
      std::clamp<std::int64_t>(rows * s.out_width * size / kTaskWork, 1,
                               std::min(kMostParts, std::max<std::int64_t>(rows, 1)));
  float* partials = scratch(Scratch::partials, parts * size);
  parallel_for(parts, [&](std::int64_t index) HWY_ATTR {
    float* sums = partials + index * size;
    std::fill(sums, sums + size, 0.0f);
    const Range range = part(rows, parts, index);
    for (std::int64_t row = range.begin; row < range.end; ++row) {
      const float* picture = x + row / s.out_height * s.in_height * in_row;
      const RowTaps taps =
          row_taps(row % s.out_height, s, [=](std::int64_t iy) { return picture + iy * in_row; });
      depthwise_weight_row(sums, dy + row * out_row, taps, s);
    }
  });
  add_partials(dw, partials, parts, size, false);
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
