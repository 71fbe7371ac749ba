// Global average pooling and up-sampling by 2.
#include "cuda/rows.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

constexpr int kThreads = 256;

// A block for each image and tile of channels; threads along y share out the positions.
template <int width>
__global__ void __launch_bounds__(kRowThreads)
    average_positions(float* y, const float* x, PoolShape s) {
  __shared__ ChannelSums<width, 1> shared[kRowThreads];
  const std::int64_t c = own_channel<width>();
  const float* image = x + blockIdx.y * s.positions * s.channels;
  ChannelSums<width, 1> sums = {};
  if (c < s.channels)
    for (std::int64_t p = threadIdx.y; p < s.positions; p += blockDim.y)
      sums.add({{load<width>(image + p * s.channels + c)}});
  add_over_block_rows(sums, shared);
  if (c >= s.channels || threadIdx.y != 0) return;
#pragma unroll
  for (int j = 0; j < width; ++j) sums.of[0].at[j] /= static_cast<float>(s.positions);
  store<width>(y + blockIdx.y * s.channels + c, sums.of[0]);
}

template <int width>
__global__ void __launch_bounds__(kRowThreads)
    spread_over_positions(float* dx, const float* dy, PoolShape s) {
  const std::int64_t c = own_channel<width>();
  if (c >= s.channels) return;
  Vector<width> share = load<width>(dy + blockIdx.y * s.channels + c);
#pragma unroll
  for (int j = 0; j < width; ++j) share.at[j] /= static_cast<float>(s.positions);
  float* image = dx + blockIdx.y * s.positions * s.channels;
  for (std::int64_t p = threadIdx.y; p < s.positions; p += blockDim.y)
    store<width>(image + p * s.channels + c, share);
}

// Images along the grid's y, as many at once as it holds.
template <typename Kernel, typename Out, typename In>
void for_images(Kernel wide, Kernel narrow, Out* out, const In* in, PoolShape s,
                std::int64_t out_each, std::int64_t in_each) {
  const RowParts p = row_parts({s.positions, s.channels}, aligned(out, in), 1, 1);
  if (p.tiles == 0) return;
  constexpr std::int64_t most = 65535;
  for (std::int64_t first = 0; first < s.batch; first += most) {
    const std::int64_t images = s.batch - first < most ? s.batch - first : most;
    launch(p.width == 4 ? wide : narrow, dim3(p.tiles, static_cast<unsigned>(images)), p.block(), 0,
           out + first * out_each, in + first * in_each, s);
  }
}

// --- Up-sampling: a thread for `width` channels of one position ---

struct Position {
  std::int64_t image, row, column, channel;
};

// Of number i · width in [batch, height, width, channels].
template <int width>
__device__ __forceinline__ Position position(std::int64_t i, std::int64_t height,
                                             std::int64_t columns, std::int64_t channels) {
  const std::int64_t vectors = channels / width;
  Position p;
  p.channel = i % vectors * width;
  i /= vectors;
  p.column = i % columns;
  i /= columns;
  p.row = i % height;
  p.image = i / height;
  return p;
}

template <int width>
__global__ void __launch_bounds__(kThreads)
    repeat(float* y, const float* x, UpsampleShape s, std::int64_t vectors) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= vectors) return;
  const Position p = position<width>(i, s.height, s.width, s.channels);
  const std::int64_t from = (p.image * s.in_height() + p.row / 2) * s.in_width() + p.column / 2;
  store<width>(y + i * width, load<width>(x + from * s.channels + p.channel));
}

template <int width>
__global__ void __launch_bounds__(kThreads)
    add_repetitions(float* dx, const float* dy, UpsampleShape s, std::int64_t vectors) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= vectors) return;
  const Position p = position<width>(i, s.in_height(), s.in_width(), s.channels);
  ChannelSums<width, 1> sum = {};
  for (std::int64_t row = 2 * p.row; row < 2 * p.row + 2 && row < s.height; ++row)
    for (std::int64_t column = 2 * p.column; column < 2 * p.column + 2 && column < s.width;
         ++column)
      sum.add({{load<width>(dy + ((p.image * s.height + row) * s.width + column) * s.channels +
                            p.channel)}});
  store<width>(dx + i * width, sum.of[0]);
}

template <typename Kernel>
void for_positions(Kernel wide, Kernel narrow, float* out, const float* in, UpsampleShape s,
                   std::int64_t count) {
  const bool whole = aligned(out, in) && s.channels % 4 == 0;
  const std::int64_t vectors = whole ? count / 4 : count;
  launch(whole ? wide : narrow, dim3(static_cast<unsigned>(ceil_div(vectors, kThreads))),
         dim3(kThreads), 0, out, in, s, vectors);
}

}  // namespace

void global_average_pool(float* y, const float* x, PoolShape s) {
  for_images(average_positions<4>, average_positions<1>, y, x, s, s.channels,
             s.positions * s.channels);
}

void global_average_pool_backward(float* dx, const float* dy, PoolShape s) {
  for_images(spread_over_positions<4>, spread_over_positions<1>, dx, dy, s,
             s.positions * s.channels, s.channels);
}

void upsample2x(float* y, const float* x, UpsampleShape s) {
  for_positions(repeat<4>, repeat<1>, y, x, s, s.outputs());
}

void upsample2x_backward(float* dx, const float* dy, UpsampleShape s) {
  for_positions(add_repetitions<4>, add_repetitions<1>, dx, dy, s, s.inputs());
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
