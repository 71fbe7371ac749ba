// Elementwise kernels: out[i] of in[i] of up to four arrays. A formula is a structure with
//   static constexpr int arrays;   // how many are read
//   static constexpr int outputs;  // how many are written, the first ones
//   void operator()(float (&values)[arrays or outputs, whichever is more], std::int64_t i) const
// and its values go in and out through `values`. Arrays may be the same memory.
#pragma once

#include "cuda/vectors.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

constexpr int kMapThreads = 256;
constexpr int kMostArrays = 4;

// What is read, and what is written.
struct MapArrays {
  float* out[kMostArrays];
  const float* in[kMostArrays];
};

template <typename Formula>
constexpr int kMapValues = Formula::arrays > Formula::outputs ? Formula::arrays : Formula::outputs;

// Numbers [i, i + width).
template <int width, typename Formula>
__device__ __forceinline__ void map_at(const MapArrays& arrays, const Formula& formula,
                                       std::int64_t i) {
  Vector<width> in[Formula::arrays], out[Formula::outputs];
#pragma unroll
  for (int a = 0; a < Formula::arrays; ++a) in[a] = load<width>(arrays.in[a] + i);
#pragma unroll
  for (int j = 0; j < width; ++j) {
    float values[kMapValues<Formula>];
#pragma unroll
    for (int a = 0; a < Formula::arrays; ++a) values[a] = in[a].at[j];
    formula(values, i + j);
#pragma unroll
    for (int a = 0; a < Formula::outputs; ++a) out[a].at[j] = values[a];
  }
#pragma unroll
  for (int a = 0; a < Formula::outputs; ++a) store<width>(arrays.out[a] + i, out[a]);
}

// The threads behind those with whole vectors take the rest one by one.
template <int width, typename Formula>
__global__ void __launch_bounds__(kMapThreads)
    map_kernel(MapArrays arrays, Formula formula, std::int64_t count) {
  const std::int64_t vectors = count / width;
  const std::int64_t thread = std::int64_t{blockIdx.x} * kMapThreads + threadIdx.x;
  if (thread < vectors)
    map_at<width>(arrays, formula, thread * width);
  else if (thread - vectors < count - vectors * width)
    map_at<1>(arrays, formula, vectors * width + thread - vectors);
}

template <typename Formula>
void map(const MapArrays& arrays, const Formula& formula, std::int64_t count) {
  bool whole_vectors = true;
  for (int a = 0; a < kMostArrays; ++a)
    whole_vectors = whole_vectors && aligned(arrays.out[a], arrays.in[a]);
  const std::int64_t threads = whole_vectors ? count / 4 + count % 4 : count;
  launch(whole_vectors ? map_kernel<4, Formula> : map_kernel<1, Formula>,
         dim3(static_cast<unsigned>(ceil_div(threads, kMapThreads))), dim3(kMapThreads), 0, arrays,
         formula, count);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
