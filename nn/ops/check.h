// What operations ask of their arguments: std::invalid_argument names the operation and what it was
// given. Messages are formatted in the source, so that this header stays light.
#pragma once

#include <cstdint>
#include <string>

#include "nn/tensor.h"

namespace maskwatch::nn {

// "OPERATION: WHAT"
[[noreturn]] void reject(const char* operation, const std::string& what);
// "OPERATION: shapes [2, 3] and [4, 5] do not fit"
[[noreturn]] void reject_shapes(const char* operation, const Shape& a, const Shape& b);

inline void require(bool holds, const char* operation, const Tensor& a, const Tensor& b) {
  if (!holds) reject_shapes(operation, a.shape(), b.shape());
}

// "OPERATION: tensors on cpu and cuda:0"
[[noreturn]] void reject_devices(const char* operation, const Tensor& a, const Tensor& b);

// The device that all of them lie on.
template <typename... Tensors>
kernels::Device& device_of(const char* operation, const Tensor& first, const Tensors&... others) {
  kernels::Device& device = first.device();
  const auto require_same = [&](const Tensor& other) {
    if (&other.device() != &device) reject_devices(operation, first, other);
  };
  (require_same(others), ...);
  return device;
}

// "OPERATION: WHAT VALUE is not in RANGE"
void require_number(bool holds, const char* operation, const char* what, double value,
                    const char* range);

// Everything but the last axis, as rows.
kernels::RowShape rows_of(const Tensor& x, const char* operation);

// parameter [channels] of x[..., channels].
void require_channels(const Tensor& x, const Tensor& parameter, const char* operation);

void require_stride(int stride, const char* operation);

}  // namespace maskwatch::nn
