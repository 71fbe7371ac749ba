// Products on tensor cores by 3xTF32: a factor is split into two parts of TF32's 10 bits, and of
// the four products of parts three are taken; the fourth is below float's own rounding. Fragments
// are those of PTX's mma.m16n8k8.
#pragma once

#include "cuda/simt.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// Whether this pass of the compiler knows mma_m16n8k8_tf32. Without it kernels for tensor cores are
// empty: has_tf32 is false where they would run.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr bool kMmaCompiled = false;
#else
constexpr bool kMmaCompiled = true;
#endif

__device__ inline int lane_of_thread() { return static_cast<int>(threadIdx.x) % 32; }
__device__ inline int warp_of_thread() { return static_cast<int>(threadIdx.x) / 32; }

// x = big + small, up to 2^-22 |x|
template <int kCount>
struct Split {
  std::uint32_t big[kCount], small[kCount];

  __device__ void set(int e, float x) {
    big[e] = to_tf32(x);
    small[e] = to_tf32(x - __uint_as_float(big[e]));
  }
};

using SplitA = Split<4>;  // 16x8
using SplitB = Split<2>;  // 8x8

// at(row, k) and at(k, column) point into the fragment, whose first row and column are 0.
template <typename At>
__device__ void load_fragment(SplitA& a, const At& at) {
  const int row = lane_of_thread() / 4, k = lane_of_thread() % 4;
#pragma unroll
  for (int e = 0; e < 4; ++e) a.set(e, *at(row + e % 2 * 8, k + e / 2 * 4));
}

template <typename At>
__device__ void load_fragment(SplitB& b, const At& at) {
  const int column = lane_of_thread() / 4, k = lane_of_thread() % 4;
#pragma unroll
  for (int e = 0; e < 2; ++e) b.set(e, *at(k + e * 4, column));
}

// sum += a · b. Tensor cores truncate what they add up, so the 8 of k are added apart, and their
// sum in float.
__device__ inline void add_product(float (&sum)[4], const SplitA& a, const SplitB& b) {
  float part[4] = {};
  mma_m16n8k8_tf32(part, a.small, b.big);
  mma_m16n8k8_tf32(part, a.big, b.small);
  mma_m16n8k8_tf32(part, a.big, b.big);
#pragma unroll
  for (int e = 0; e < 4; ++e) sum[e] += part[e];
}

// visit(row, column, first, second) for the two pairs of neighbours that a thread has of a 16x8
// result.
template <typename Visit>
__device__ void for_each_pair(const float (&sum)[4], const Visit& visit) {
  const int row = lane_of_thread() / 4, column = lane_of_thread() % 4 * 2;
#pragma unroll
  for (int half = 0; half < 2; ++half)
    visit(row + half * 8, column, sum[half * 2], sum[half * 2 + 1]);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
