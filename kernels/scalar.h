// Formulas for one number, shared by the reference loops, the tails of the tuned ones and the GPU.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/shapes.h"

#ifdef __CUDACC__
#define KERNELS_HOST_DEVICE __host__ __device__
#else
#define KERNELS_HOST_DEVICE
#endif

namespace maskwatch::kernels::scalar {

// A NaN stays a NaN.
template <typename T>
KERNELS_HOST_DEVICE T relu(T x) {
  return x < T(0) ? T(0) : x;
}

template <typename T>
KERNELS_HOST_DEVICE T relu6(T x) {
  return x < T(0) ? T(0) : (x > T(6) ? T(6) : x);
}

template <typename T>
KERNELS_HOST_DEVICE T relu_backward(T dy, T x) {
  return x > T(0) ? dy : T(0);
}

template <typename T>
KERNELS_HOST_DEVICE T relu6_backward(T dy, T x) {
  return x > T(0) && x < T(6) ? dy : T(0);
}

template <typename T>
KERNELS_HOST_DEVICE T sigmoid(T x) {
  const T e = std::exp(x < T(0) ? x : -x);
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

template <typename T>
KERNELS_HOST_DEVICE T activate(T x, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return relu(x);
    case Activation::relu6:
      return relu6(x);
    default:
      return x;
  }
}

// Whether the gradient of activate(x) is 1; it is 0 otherwise.
template <typename T>
KERNELS_HOST_DEVICE bool activation_passes(T x, Activation activation) {
  return activation == Activation::none ||
         (x > T(0) && (activation == Activation::relu || x < T(6)));
}

// splitmix64's finaliser (Steele, Lea, Flood 2014) over a counter: random bits for element `index`
// of stream `seed`.
KERNELS_HOST_DEVICE inline std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Whether dropout keeps element `index`: 32 random bits against a threshold.
KERNELS_HOST_DEVICE inline bool dropout_keeps(std::uint64_t seed, std::int64_t index, double rate) {
  const auto bits =
      static_cast<std::uint32_t>(random_bits(seed, static_cast<std::uint64_t>(index)) >> 32);
  return bits >= static_cast<std::uint32_t>(rate * 4294967295.0);
}

}  // namespace maskwatch::kernels::scalar
