// Operations on each value by itself: activations and sums.
#pragma once

#include <cstdint>

#include "nn/ops/check.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// A kernel y = f(x) of x's device, and its gradient dx from dy and x.
using Elementwise = void (*)(float* y, const float* x, std::int64_t count);
using ElementwiseBackward = void (*)(float* dx, const float* dy, const float* x,
                                     std::int64_t count);

// Saves x.
inline Tensor elementwise(const Tensor& x, Elementwise forward, ElementwiseBackward backward) {
  Tensor y = Tensor::empty(x.shape(), x.device());
  forward(y.data(), x.data(), x.count());
  y.record({x}, [x, backward](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.device());
    backward(dx.data(), dy.data(), x.data(), x.count());
    x.add_gradient(dx);
  });
  return y;
}

inline Tensor relu(const Tensor& x) {
  const auto& k = x.device().table();
  return elementwise(x, k.relu, k.relu_backward);
}

inline Tensor relu6(const Tensor& x) {
  const auto& k = x.device().table();
  return elementwise(x, k.relu6, k.relu6_backward);
}

// a + b, of one shape.
inline Tensor add(const Tensor& a, const Tensor& b) {
  require(a.shape() == b.shape(), "add", a, b);
  kernels::Device& device = device_of("add", a, b);
  Tensor y = Tensor::empty(a.shape(), device);
  device.table().add(y.data(), a.data(), b.data(), a.count());
  y.record({a, b}, [a, b](const Tensor& dy) {
    a.add_gradient(dy);
    b.add_gradient(dy);
  });
  return y;
}

}  // namespace maskwatch::nn
