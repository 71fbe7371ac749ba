// Formulas for one number, shared by the reference loops, the tails of the tuned ones and the GPU.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.h"
#include "base/random.h"
#include "kernels/shapes.h"

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

// Dropout keeps an element unless its 32 random bits are below this.
KERNELS_HOST_DEVICE inline std::uint32_t dropout_threshold(double rate) {
  return static_cast<std::uint32_t>(rate * 4294967295.0);
}

// Whether dropout keeps element `index`.
KERNELS_HOST_DEVICE inline bool dropout_keeps(std::uint64_t seed, std::int64_t index,
                                              std::uint32_t threshold) {
  const auto bits =
      static_cast<std::uint32_t>(random_bits(seed, static_cast<std::uint64_t>(index)) >> 32);
  return bits >= threshold;
}

KERNELS_HOST_DEVICE inline double moving_average(double average, double x, double momentum,
                                                 double factor) {
  return momentum * average + (1 - momentum) * factor * x;
}

}  // namespace maskwatch::kernels::scalar
