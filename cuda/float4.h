// Four neighbouring floats: 16 bytes, what a thread loads and stores best.
#pragma once

#include "cuda/vectors.h"
#include "kernels/scalar.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

__device__ inline float4 load4(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ inline void store4(float* to, float4 v) { *reinterpret_cast<float4*>(to) = v; }

__device__ inline float4 zero4() { return make_float4(0, 0, 0, 0); }

// The first `count` of four, zeros behind them; no alignment needed.
__device__ inline float4 load_some(const float* from, int count) {
  return make_float4(count > 0 ? from[0] : 0, count > 1 ? from[1] : 0, count > 2 ? from[2] : 0,
                     count > 3 ? from[3] : 0);
}

__device__ inline void store_some(float* to, float4 v, int count) {
  if (count > 0) to[0] = v.x;
  if (count > 1) to[1] = v.y;
  if (count > 2) to[2] = v.z;
  if (count > 3) to[3] = v.w;
}

__device__ inline float4 add4(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

__device__ inline float4 activate4(float4 v, kernels::Activation activation) {
  return make_float4(
      kernels::scalar::activate(v.x, activation), kernels::scalar::activate(v.y, activation),
      kernels::scalar::activate(v.z, activation), kernels::scalar::activate(v.w, activation));
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
