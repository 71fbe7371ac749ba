// Softmax and losses: a warp for each row. Sums go along the lanes in an order that the shape alone
// decides, and the losses of rows are added by one block.
#include <cfloat>

#include "cuda/table.h"
#include "cuda/vectors.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

constexpr int kThreads = 256;
constexpr int kRowsOfBlock = kThreads / static_cast<int>(kWarp);

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int by = 16; by > 0; by /= 2) x += __shfl_xor_sync(kWholeWarp, x, by);
  return x;
}

__device__ __forceinline__ float larger(float a, float b) { return b > a ? b : a; }

__device__ __forceinline__ float warp_maximum(float x) {
#pragma unroll
  for (int by = 16; by > 0; by /= 2) x = larger(x, __shfl_xor_sync(kWholeWarp, x, by));
  return x;
}

// The row of this warp; not below `rows` if it has none.
__device__ __forceinline__ std::int64_t own_row() {
  return std::int64_t{blockIdx.x} * kRowsOfBlock + threadIdx.y;
}

struct SoftmaxOf {
  float maximum, sum;
};

// Of x[count], the same in all lanes: exp(x - maximum) / sum is the softmax.
__device__ __forceinline__ SoftmaxOf softmax_of(const float* x, std::int64_t count) {
  float maximum = x[0];
  for (std::int64_t c = threadIdx.x; c < count; c += kWarp) maximum = larger(maximum, x[c]);
  maximum = warp_maximum(maximum);
  float sum = 0;
  for (std::int64_t c = threadIdx.x; c < count; c += kWarp) sum += expf(x[c] - maximum);
  return {maximum, warp_sum(sum)};
}

__global__ void __launch_bounds__(kThreads) softmax_rows(float* y, const float* x, RowShape s) {
  const std::int64_t r = own_row();
  if (r >= s.rows) return;
  x += r * s.channels;
  y += r * s.channels;
  const SoftmaxOf all = softmax_of(x, s.channels);
  for (std::int64_t c = threadIdx.x; c < s.channels; c += kWarp)
    y[c] = expf(x[c] - all.maximum) / all.sum;
}

__global__ void __launch_bounds__(kThreads)
    softmax_rows_backward(float* dx, const float* dy, const float* y, RowShape s) {
  const std::int64_t r = own_row();
  if (r >= s.rows) return;
  const std::int64_t begin = r * s.channels, end = begin + s.channels;
  float dot = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kWarp) dot += dy[i] * y[i];
  dot = warp_sum(dot);
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kWarp) dx[i] = y[i] * (dy[i] - dot);
}

// losses[row]
__global__ void __launch_bounds__(kThreads)
    cross_entropy_of_rows(float* losses, const float* logits, const float* targets, RowShape s) {
  const std::int64_t r = own_row();
  if (r >= s.rows) return;
  logits += r * s.channels;
  targets += r * s.channels;
  const SoftmaxOf all = softmax_of(logits, s.channels);
  const float log_sum = logf(all.sum);
  float loss = 0;
  for (std::int64_t c = threadIdx.x; c < s.channels; c += kWarp) {
    // Not infinite, so that a target of 0 takes nothing of it.
    const float below = larger(-FLT_MAX, logits[c] - all.maximum);
    loss += targets[c] * (log_sum - below);
  }
  loss = warp_sum(loss);
  if (threadIdx.x == 0) losses[r] = loss;
}

__global__ void __launch_bounds__(kThreads)
    cross_entropy_backward(float* dlogits, const float* dloss, const float* logits,
                           const float* targets, RowShape s) {
  const std::int64_t r = own_row();
  if (r >= s.rows) return;
  const std::int64_t begin = r * s.channels, end = begin + s.channels;
  const SoftmaxOf all = softmax_of(logits + begin, s.channels);
  float weight = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kWarp) weight += targets[i];
  weight = warp_sum(weight);
  const float upstream = dloss[0];
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kWarp) {
    const float probability = expf(logits[i] - all.maximum) / all.sum;
    dlogits[i] = upstream * (weight * probability - targets[i]) / static_cast<float>(s.rows);
  }
}

constexpr int kValuesOfBlock = 16 * kThreads;

// The sum over the block, in the thread 0. Every thread of the block is here.
__device__ __forceinline__ float block_sum(float x) {
  __shared__ float sums[kRowsOfBlock];
  const unsigned warp = threadIdx.x / kWarp;
  x = warp_sum(x);
  if (threadIdx.x % kWarp == 0) sums[warp] = x;
  __syncthreads();
  float sum = 0;
  if (threadIdx.x == 0)
    for (int w = 0; w < kRowsOfBlock; ++w) sum += sums[w];
  return sum;
}

// losses[block]
__global__ void __launch_bounds__(kThreads)
    binary_cross_entropy_of_parts(float* losses, const float* logits, const float* targets,
                                  std::int64_t count) {
  const std::int64_t begin = std::int64_t{blockIdx.x} * kValuesOfBlock;
  const std::int64_t end = begin + kValuesOfBlock < count ? begin + kValuesOfBlock : count;
  float loss = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const float z = logits[i];
    loss += (z > 0 ? z : 0.0f) - z * targets[i] + log1pf(expf(-fabsf(z)));
  }
  loss = block_sum(loss);
  if (threadIdx.x == 0) losses[blockIdx.x] = loss;
}

__global__ void __launch_bounds__(kThreads)
    binary_cross_entropy_map_backward(float* dlogits, const float* dloss, const float* logits,
                                      const float* targets, std::int64_t count) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const float e = expf(-fabsf(logits[i]));
  const float sigmoid = (logits[i] >= 0 ? 1.0f : e) / (1.0f + e);
  dlogits[i] = dloss[0] * (sigmoid - targets[i]) / static_cast<float>(count);
}

// One block: mean = the sum of parts[count] / divisor
__global__ void __launch_bounds__(kThreads)
    mean_of_parts(float* mean, const float* parts, std::int64_t count, float divisor) {
  float sum = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kThreads) sum += parts[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) mean[0] = sum / divisor;
}

unsigned blocks_of_rows(RowShape s) {
  return s.channels > 0 ? static_cast<unsigned>(ceil_div(s.rows, kRowsOfBlock)) : 0;
}

constexpr dim3 kWarps(kWarp, kRowsOfBlock);

}  // namespace

void softmax(float* y, const float* x, RowShape s) {
  launch(softmax_rows, blocks_of_rows(s), kWarps, 0, y, x, s);
}

void softmax_backward(float* dx, const float* dy, const float* y, RowShape s) {
  launch(softmax_rows_backward, blocks_of_rows(s), kWarps, 0, dx, dy, y, s);
}

void softmax_cross_entropy(float* loss, const float* logits, const float* targets, RowShape s) {
  const std::int64_t rows = s.channels > 0 ? s.rows : 0;
  float* const losses = workspace(Workspace::loss, s.rows);
  launch(cross_entropy_of_rows, blocks_of_rows(s), kWarps, 0, losses, logits, targets, s);
  launch(mean_of_parts, 1, kThreads, 0, loss, losses, rows, static_cast<float>(s.rows));
}

void softmax_cross_entropy_backward(float* dlogits, const float* dloss, const float* logits,
                                    const float* targets, RowShape s) {
  launch(cross_entropy_backward, blocks_of_rows(s), kWarps, 0, dlogits, dloss, logits, targets, s);
}

void binary_cross_entropy(float* loss, const float* logits, const float* targets, RowShape s) {
  const std::int64_t count = s.rows * s.channels, parts = ceil_div(count, kValuesOfBlock);
  float* const losses = workspace(Workspace::loss, parts);
  launch(binary_cross_entropy_of_parts, static_cast<unsigned>(parts), kThreads, 0, losses, logits,
         targets, count);
  launch(mean_of_parts, 1, kThreads, 0, loss, losses, parts, static_cast<float>(count));
}

void binary_cross_entropy_backward(float* dlogits, const float* dloss, const float* logits,
                                   const float* targets, RowShape s) {
  const std::int64_t count = s.rows * s.channels;
  launch(binary_cross_entropy_map_backward, static_cast<unsigned>(ceil_div(count, kThreads)),
         kThreads, 0, dlogits, dloss, logits, targets, count);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
