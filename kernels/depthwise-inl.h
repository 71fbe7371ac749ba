// The inner loop of a depthwise 3×3 convolution: a few neighbouring output positions of one row,
// for all channels. Every input vector that is loaded serves all the outputs it touches.
// Included once for each target.
#if defined(KERNELS_DEPTHWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERNELS_DEPTHWISE_INL_H_
#undef KERNELS_DEPTHWISE_INL_H_
#else
#define KERNELS_DEPTHWISE_INL_H_
#endif

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/shapes.h"
#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

// Outputs at once: as many sums as two multiply-add units of latency 4 need.
constexpr int kDepthwiseOutputs = 8;

struct DepthwiseInput {
  const float* rows[3];  // where the first tap of the first output reads, one for each kernel row
  int row_count;         // kernel rows that lie inside the picture
  std::ptrdiff_t position_stride;
  const float* weights;  // of the first of these kernel rows
  std::ptrdiff_t tap_stride;
  const float* bias;  // or null
  Activation activation;
};

// kPositionStride: in.position_stride, tap_stride and out_stride where the compiler may know them.
constexpr std::ptrdiff_t kAnyStride = 0;

template <int kOutputs, int kStride, std::ptrdiff_t kPositionStride, bool kWhole>
HWY_INLINE void depthwise_vector(const DepthwiseInput& in, float* HWY_RESTRICT out,
                                 std::ptrdiff_t out_stride, std::int64_t channel,
                                 std::int64_t rest) {
  constexpr bool kKnown = kPositionStride != kAnyStride;
  const std::ptrdiff_t position_stride = kKnown ? kPositionStride : in.position_stride;
  const std::ptrdiff_t tap_stride = kKnown ? kPositionStride : in.tap_stride;
  if (kKnown) out_stride = kPositionStride;
  Vector sums[kOutputs];
  sums[0] = in.bias ? load_part<kWhole>(in.bias + channel, rest) : hn::Zero(lanes);
  HWY_UNROLL(16)
  for (int i = 1; i < kOutputs; ++i) sums[i] = sums[0];
  const float* HWY_RESTRICT weights = in.weights + channel;
  for (int row = 0; row < in.row_count; ++row, weights += 3 * tap_stride) {
    const float* HWY_RESTRICT from = in.rows[row] + channel;
    const Vector w[3] = {load_part<kWhole>(weights, rest),
                         load_part<kWhole>(weights + tap_stride, rest),
                         load_part<kWhole>(weights + 2 * tap_stride, rest)};
    HWY_UNROLL(32)
    for (int column = 0; column < (kOutputs - 1) * kStride + 3; ++column) {
      const Vector x = load_part<kWhole>(from + column * position_stride, rest);
      HWY_UNROLL(4)
      for (int tap = 0; tap < 3; ++tap) {
        const int output = (column - tap) / kStride;
        if (column >= tap && (column - tap) % kStride == 0 && output < kOutputs)
          sums[output] = hn::MulAdd(x, w[tap], sums[output]);
      }
    }
  }
  if (in.activation != Activation::none) {
    const Clamp bounds = clamp_of(in.activation);
    HWY_UNROLL(16)
    for (int i = 0; i < kOutputs; ++i) sums[i] = clamp(sums[i], bounds);
  }
  HWY_UNROLL(16)
  for (int i = 0; i < kOutputs; ++i)
    store_part<kWhole>(sums[i], out + i * out_stride + channel, rest);
}

template <int kOutputs, int kStride, std::ptrdiff_t kPositionStride>
void depthwise_outputs(const DepthwiseInput& in, float* out, std::ptrdiff_t out_stride,
                       std::int64_t channels) {
  std::int64_t channel = 0;
  for (; channel + kLanes <= channels; channel += kLanes)
    depthwise_vector<kOutputs, kStride, kPositionStride, true>(in, out, out_stride, channel,
                                                               kLanes);
  if (channel < channels)
    depthwise_vector<kOutputs, kStride, kPositionStride, false>(in, out, out_stride, channel,
                                                                channels - channel);
}

using DepthwiseOutputs = void (*)(const DepthwiseInput&, float*, std::ptrdiff_t, std::int64_t);
using DepthwiseKernels = std::array<DepthwiseOutputs, kDepthwiseOutputs>;

template <int kStride, std::ptrdiff_t kPositionStride, int... kOutputs>
constexpr DepthwiseKernels depthwise_kernels(std::integer_sequence<int, kOutputs...>) {
  return {&depthwise_outputs<kOutputs + 1, kStride, kPositionStride>...};
}

// `outputs` neighbours of one row, none of whose taps leaves the rows; in.rows are those of the
// first. Stride 1 or 2.
template <std::ptrdiff_t kPositionStride = kAnyStride>
void depthwise_run(DepthwiseInput in, int stride, std::int64_t outputs, float* out,
                   std::ptrdiff_t out_stride, std::int64_t channels) {
  constexpr auto counts = std::make_integer_sequence<int, kDepthwiseOutputs>();
  static constexpr DepthwiseKernels stride1 = depthwise_kernels<1, kPositionStride>(counts);
  static constexpr DepthwiseKernels stride2 = depthwise_kernels<2, kPositionStride>(counts);
  const DepthwiseKernels& kernels = stride == 1 ? stride1 : stride2;
  for (std::int64_t tiles = divide_up(outputs, kDepthwiseOutputs); tiles > 0; --tiles) {
    const std::int64_t count = outputs / tiles;
    kernels[static_cast<std::size_t>(count - 1)](in, out, out_stride, channels);
    for (const float*& row : in.rows) row += count * stride * in.position_stride;
    out += count * out_stride;
    outputs -= count;
  }
}

// Rows of outputs none of whose taps leaves the rows given: whole vectors of channels,
// kPositionStride numbers from one position and from one tap to the next.
struct DepthwisePlane {
  const float* const* rows;  // output row r reads rows r·stride, + 1 and + 2 from their beginning
  std::int64_t out_rows, out_width;
  const float* weights;
  const float* bias;
  Activation activation;
  float* out;
  std::ptrdiff_t out_stride, out_pitch;  // from one position, and from one row, to the next
};

// One vector of channels: positions [first, first + tiles · kOutputs) of every row. The weights
// stay in registers where there are 32; one load of a position serves all the taps on it.
template <int kOutputs, int kStride, std::ptrdiff_t kPositionStride>
void depthwise_column(const DepthwisePlane& p, std::int64_t channel, std::int64_t first,
                      std::int64_t tiles) {
  constexpr int kColumns = (kOutputs - 1) * kStride + 3;
  Vector w[9];
  HWY_UNROLL(16)
  for (int tap = 0; tap < 9; ++tap)
    w[tap] = hn::LoadU(lanes, p.weights + tap * kPositionStride + channel);
  const Vector bias = hn::LoadU(lanes, p.bias + channel);
  const Clamp bounds = clamp_of(p.activation);
  for (std::int64_t y = 0; y < p.out_rows; ++y) {
    const std::ptrdiff_t offset = first * kStride * kPositionStride + channel;
    const float* HWY_RESTRICT from[3] = {p.rows[y * kStride] + offset,
                                         p.rows[y * kStride + 1] + offset,
                                         p.rows[y * kStride + 2] + offset};
    float* HWY_RESTRICT out = p.out + y * p.out_pitch + first * p.out_stride + channel;
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      Vector sums[kOutputs];
      HWY_UNROLL(3)
      for (int row = 0; row < 3; ++row) {
        HWY_UNROLL(32)
        for (int column = 0; column < kColumns; ++column) {
          const Vector x = hn::LoadU(lanes, from[row] + column * kPositionStride);
          HWY_UNROLL(4)
          for (int tap = 0; tap < 3; ++tap) {
            const int output = (column - tap) / kStride;
            if (column < tap || (column - tap) % kStride != 0 || output >= kOutputs) continue;
            sums[output] = hn::MulAdd(x, w[3 * row + tap], row + tap == 0 ? bias : sums[output]);
          }
        }
      }
      HWY_UNROLL(16)
      for (int i = 0; i < kOutputs; ++i, out += p.out_stride)
        hn::StoreU(clamp(sums[i], bounds), lanes, out);
      HWY_UNROLL(3)
      for (int row = 0; row < 3; ++row) from[row] += kOutputs * kStride * kPositionStride;
    }
  }
}

using DepthwiseColumn = void (*)(const DepthwisePlane&, std::int64_t, std::int64_t, std::int64_t);

template <int kStride, std::ptrdiff_t kPositionStride, int... kOutputs>
constexpr std::array<DepthwiseColumn, sizeof...(kOutputs)> depthwise_columns(
    std::integer_sequence<int, kOutputs...>) {
  return {&depthwise_column<kOutputs + 1, kStride, kPositionStride>...};
}

template <std::ptrdiff_t kPositionStride>
void depthwise_plane(const DepthwisePlane& p, int stride, std::int64_t channels) {
  constexpr auto counts = std::make_integer_sequence<int, kDepthwiseOutputs>();
  static constexpr auto stride1 = depthwise_columns<1, kPositionStride>(counts);
  static constexpr auto stride2 = depthwise_columns<2, kPositionStride>(counts);
  const auto& columns = stride == 1 ? stride1 : stride2;
  const std::int64_t tiles = divide_up(p.out_width, kDepthwiseOutputs);
  const std::int64_t width = p.out_width / tiles, wider = p.out_width % tiles;
  for (std::int64_t channel = 0; channel < channels; channel += kLanes) {
    if (wider > 0) columns[static_cast<std::size_t>(width)](p, channel, 0, wider);
    columns[static_cast<std::size_t>(width - 1)](p, channel, wider * (width + 1), tiles - wider);
  }
}

// Outputs along one axis whose three taps lie inside [0, size).
inline Range interior(std::int64_t outputs, std::int64_t size, int pad, const ConvShape& s) {
  const std::int64_t begin = pad > 0 ? (pad + s.stride - 1) / s.stride : 0;
  const std::int64_t room = size + pad - 2 * s.dilation - 1;
  const std::int64_t end = room < 0 ? 0 : room / s.stride + 1;
  const std::int64_t first = std::clamp<std::int64_t>(begin, 0, outputs);
  return {first, std::clamp(end, first, outputs)};
}

// Taps (0, 1, 2) of output `at` that lie inside [0, size).
inline Range taps_inside(std::int64_t at, std::int64_t size, int pad, const ConvShape& s) {
  const std::int64_t first = at * s.stride - pad;
  Range taps = {0, 3};
  while (taps.begin < 3 && first + taps.begin * s.dilation < 0) ++taps.begin;
  while (taps.end > taps.begin && first + (taps.end - 1) * s.dilation >= size) --taps.end;
  return taps;
}

// The picture rows under the taps of one row of outputs: where each begins, for the kernel rows
// that lie inside.
struct RowTaps {
  const float* rows[3];
  Range inside;
};

// row(y): where picture row y begins.
template <typename Row>
HWY_INLINE RowTaps row_taps(std::int64_t oy, const ConvShape& s, const Row& row) {
  RowTaps taps = {{}, taps_inside(oy, s.in_height, s.pad_top, s)};
  for (std::int64_t ky = taps.inside.begin; ky < taps.inside.end; ++ky)
    taps.rows[ky] = row(oy * s.stride - s.pad_top + ky * s.dilation);
  return taps;
}

// The taps of one axis that reach input `at`, and the output that each is reached from.
struct Reach {
  int count = 0;
  int taps[3];
  std::int64_t outputs[3];
};

inline Reach reach_of(std::int64_t at, std::int64_t outputs, int pad, const ConvShape& s) {
  Reach reach;
  for (int tap = 0; tap < 3; ++tap) {
    const std::int64_t distance = at + pad - std::int64_t{tap} * s.dilation;
    if (distance < 0 || distance % s.stride != 0 || distance / s.stride >= outputs) continue;
    reach.taps[reach.count] = tap;
    reach.outputs[reach.count++] = distance / s.stride;
  }
  return reach;
}

// --- Rows, by the calling thread. Defined in depthwise.cc and depthwise_backward.cc. ---

// out[out_width, channels]: one row of outputs.
void depthwise_row(float* out, const RowTaps& x, const float* w, const float* bias,
                   Activation activation, const ConvShape& s);
// dx[in_width, channels] of one row of inputs; dy[i]: where row reach.outputs[i] of the outputs'
// gradient begins.
void depthwise_input_row(float* dx, const float* const* dy, const Reach& reach, const float* w,
                         const ConvShape& s);
// dw[3, 3, channels] += what one row of outputs, whose gradient dy is, adds.
void depthwise_weight_row(float* dw, const float* dy, const RowTaps& x, const ConvShape& s);

// The convolution of dy that gives dx where the stride is 1: its shape, and weights in reverse
// order [3, 3, channels].
ConvShape reversed(const ConvShape& s);
void reverse_taps(float* reversed, const float* w, std::int64_t channels);

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
