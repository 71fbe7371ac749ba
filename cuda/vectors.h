// Numbers that a thread loads and stores at once: 4 (16 bytes) where addresses and sizes allow it,
// else one by one.
#pragma once

#include <type_traits>

#include "cuda/simt.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

template <int width>
struct alignas(width * sizeof(float)) Vector {
  float at[width];
};

template <int width>
__device__ __forceinline__ Vector<width> load(const float* from) {
  static_assert(width == 1 || width == 4);
  if constexpr (width == 4) {
    const float4 v = *reinterpret_cast<const float4*>(from);
    return {{v.x, v.y, v.z, v.w}};
  } else {
    return {{*from}};
  }
}

template <int width>
__device__ __forceinline__ void store(float* to, const Vector<width>& v) {
  if constexpr (width == 4)
    *reinterpret_cast<float4*>(to) = make_float4(v.at[0], v.at[1], v.at[2], v.at[3]);
  else
    *to = v.at[0];
}

// Whether all addresses are multiples of 16; null is.
template <typename... Pointers>
bool aligned(const Pointers*... pointers) {
  constexpr std::uintptr_t bytes = 16;
  return ((reinterpret_cast<std::uintptr_t>(pointers) % bytes == 0) && ...);
}

template <typename A, typename B>
constexpr std::common_type_t<A, B> ceil_div(A a, B b) {
  return (a + b - 1) / b;
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
