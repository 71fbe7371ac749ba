// Gradients of depthwise 3×3 convolutions on NHWC.
#include <algorithm>

#include "kernels/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/depthwise_backward.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/depthwise-inl.h"
#include "kernels/partials-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {

void depthwise3x3(float* y, const float* x, const float* w, const float* bias,
                  Activation activation, ConvShape shape);

namespace {

// Multiply-adds that are worth a task of their own.
constexpr std::int64_t kTaskWork = 1 << 17;

// --- dx ---

// Stride 1: a convolution of dy with the taps in reverse.
void reverse_convolution(float* dx, const float* dy, const float* w, const ConvShape& s) {
  const std::int64_t channels = s.in_channels;
  float* reversed = scratch(Scratch::partials, 9 * channels);
  for (std::int64_t tap = 0; tap < 9; ++tap)
    std::copy(w + tap * channels, w + (tap + 1) * channels, reversed + (8 - tap) * channels);
  ConvShape back = s;
  std::swap(back.in_height, back.out_height);
  std::swap(back.in_width, back.out_width);
  back.pad_top = 2 * s.dilation - s.pad_top;
  back.pad_left = 2 * s.dilation - s.pad_left;
  depthwise3x3(dx, dy, reversed, nullptr, Activation::none, back);
}

struct InputGradient {
  float* dx;
  const float* dy;
  const float* w;
  ConvShape shape;
};

// The taps of one axis that reach input `at`, and the output that each is reached from.
struct Reach {
  int count = 0;
  int taps[3];
  std::int64_t outputs[3];
};

Reach reach_of(std::int64_t at, std::int64_t outputs, int pad, const ConvShape& s) {
  Reach reach;
  for (int tap = 0; tap < 3; ++tap) {
    const std::int64_t distance = at + pad - std::int64_t{tap} * s.dilation;
    if (distance < 0 || distance % s.stride != 0 || distance / s.stride >= outputs) continue;
    reach.taps[reach.count] = tap;
    reach.outputs[reach.count++] = distance / s.stride;
  }
  return reach;
}

// dx at one position; dy: of its picture.
void input_position(const InputGradient& p, float* dx, const float* dy, const Reach& rows,
                    std::int64_t ix) {
  const ConvShape& s = p.shape;
  const std::int64_t channels = s.in_channels;
  const Reach columns = reach_of(ix, s.out_width, s.pad_left, s);
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    const std::int64_t rest = std::min(kLanes, channels - c);
    Vector sum = hn::Zero(lanes);
    for (int i = 0; i < rows.count; ++i)
      for (int j = 0; j < columns.count; ++j)
        sum = hn::MulAdd(
            load_first(dy + (rows.outputs[i] * s.out_width + columns.outputs[j]) * channels + c,
                       rest),
            load_first(p.w + (rows.taps[i] * 3 + columns.taps[j]) * channels + c, rest), sum);
    store_first(sum, dx + c, rest);
  }
}

// Stride 2: dx at positions 2j - pad and 2j - pad + 1 for j = first, first + 1, … first + pairs,
// where outputs j - 1 and j exist.
template <bool kWhole>
void input_pairs(const InputGradient& p, float* dx, const float* dy, const Reach& rows,
                 std::int64_t first, std::int64_t pairs, std::int64_t channel) {
  const ConvShape& s = p.shape;
  const std::int64_t channels = s.in_channels, rest = std::min(kLanes, channels - channel);
  Vector w[2][3];
  const float* from[2];
  for (int i = 0; i < 2; ++i) {
    // A row that is not there: once more the other one, times zero.
    const int row = std::min(i, rows.count - 1);
    from[i] = dy + (rows.outputs[row] * s.out_width + first) * channels + channel;
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

void input_row(const InputGradient& p, std::int64_t row) {
  const ConvShape& s = p.shape;
  const std::int64_t channels = s.in_channels;
  const float* dy = p.dy + row / s.in_height * s.out_height * s.out_width * channels;
  float* dx = p.dx + row * s.in_width * channels;
  const Reach rows = reach_of(row % s.in_height, s.out_height, s.pad_top, s);
  // Pairs inside: outputs first - 1 … and both positions exist.
  const std::int64_t first = std::max<std::int64_t>(1, (s.pad_left + 1) / 2);
  const std::int64_t last = std::min(s.out_width - 1, (s.in_width + s.pad_left - 2) / 2);
  const bool fast = s.stride == 2 && s.dilation == 1 && rows.count > 0 && s.pad_left >= 0;
  const std::int64_t pairs = fast ? std::max<std::int64_t>(0, last - first + 1) : 0;
  const std::int64_t begin = pairs > 0 ? 2 * first - s.pad_left : s.in_width;
  for (std::int64_t ix = 0; ix < begin; ++ix) input_position(p, dx + ix * channels, dy, rows, ix);
  if (pairs == 0) return;
  std::int64_t channel = 0;
  for (; channel + kLanes <= channels; channel += kLanes)
    input_pairs<true>(p, dx, dy, rows, first, pairs, channel);
  if (channel < channels) input_pairs<false>(p, dx, dy, rows, first, pairs, channel);
  for (std::int64_t ix = begin + 2 * pairs; ix < s.in_width; ++ix)
    input_position(p, dx + ix * channels, dy, rows, ix);
}

// --- dw: sums over output rows, a vector of channels and the nine taps in registers ---

// Outputs whose dy is held at once.
constexpr int kOutputs = 4;
constexpr std::int64_t kMostParts = 32;

struct WeightGradient {
  const float* dy;
  const float* x;
  ConvShape shape;
};

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

// What the output at (oy, ox) adds to the taps that lie inside.
void add_position(float* dw, const WeightGradient& p, const float* picture, const float* dy,
                  std::int64_t oy, std::int64_t ox, Range rows) {
  const ConvShape& s = p.shape;
  const std::int64_t channels = s.out_channels;
  const Range columns = taps_inside(ox, s.in_width, s.pad_left, s);
  for (std::int64_t ky = rows.begin; ky < rows.end; ++ky)
    for (std::int64_t kx = columns.begin; kx < columns.end; ++kx) {
      const std::int64_t iy = oy * s.stride - s.pad_top + ky * s.dilation;
      const std::int64_t ix = ox * s.stride - s.pad_left + kx * s.dilation;
      const float* x = picture + (iy * s.in_width + ix) * channels;
      float* to = dw + (ky * 3 + kx) * channels;
      for (std::int64_t c = 0; c < channels; c += kLanes) {
        const std::int64_t rest = std::min(kLanes, channels - c);
        store_first(
            hn::MulAdd(load_first(x + c, rest), load_first(dy + c, rest), load_first(to + c, rest)),
            to + c, rest);
      }
    }
}

void add_output_row(float* dw, const WeightGradient& p, std::int64_t row) {
  const ConvShape& s = p.shape;
  const std::int64_t channels = s.out_channels, oy = row % s.out_height;
  const float* picture = p.x + row / s.out_height * s.in_height * s.in_width * channels;
  const float* dy = p.dy + row * s.out_width * channels;
  const Range taps = taps_inside(oy, s.in_height, s.pad_top, s);
  if (taps.begin == taps.end) return;
  const bool fast = s.dilation == 1 && (s.stride == 1 || s.stride == 2);
  const Range inside = fast ? interior(s.out_width, s.in_width, s.pad_left, s) : Range{0, 0};
  for (std::int64_t ox = 0; ox < inside.begin; ++ox)
    add_position(dw, p, picture, dy + ox * channels, oy, ox, taps);
  if (inside.end > inside.begin) {
    const float* rows[3];
    const std::int64_t ix = inside.begin * s.stride - s.pad_left;
    for (std::int64_t ky = taps.begin; ky < taps.end; ++ky)
      rows[ky - taps.begin] =
          picture + ((oy * s.stride - s.pad_top + ky) * s.in_width + ix) * channels;
    add_row_of(s.stride, taps.end - taps.begin)(dw + taps.begin * 3 * channels,
                                                dy + inside.begin * channels, rows,
                                                inside.end - inside.begin, channels);
  }
  for (std::int64_t ox = inside.end; ox < s.out_width; ++ox)
    add_position(dw, p, picture, dy + ox * channels, oy, ox, taps);
}

}  // namespace

void depthwise3x3_backward_input(float* dx, const float* dy, const float* w, ConvShape shape) {
  if (shape.stride == 1) return reverse_convolution(dx, dy, w, shape);
  const InputGradient p = {dx, dy, w, shape};
  const std::int64_t row_work = 3 * shape.in_width * shape.in_channels;
  parallel_for_range(shape.batch * shape.in_height,
                     std::max<std::int64_t>(1, kTaskWork / (row_work + 1)),
                     [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                       for (std::int64_t row = begin; row < end; ++row) input_row(p, row);
                     });
}

void depthwise3x3_backward_weight(float* dw, const float* dy, const float* x, ConvShape shape) {
  const WeightGradient p = {dy, x, shape};
  const std::int64_t rows = shape.batch * shape.out_height, size = 9 * shape.out_channels;
  const std::int64_t parts =
      std::clamp<std::int64_t>(rows * shape.out_width * size / kTaskWork, 1,
                               std::min(kMostParts, std::max<std::int64_t>(rows, 1)));
  float* partials = scratch(Scratch::partials, parts * size);
  parallel_for(parts, [&](std::int64_t index) HWY_ATTR {
    float* sums = partials + index * size;
    std::fill(sums, sums + size, 0.0f);
    const Range range = part(rows, parts, index);
    for (std::int64_t row = range.begin; row < range.end; ++row) add_output_row(sums, p, row);
  });
  add_partials(dw, partials, parts, size, false);
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
