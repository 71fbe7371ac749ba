// What operations ask of the shapes they are given: std::invalid_argument names the operation and
// the shapes.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

#include "nn/tensor.h"

namespace maskwatch::nn {

[[noreturn]] inline void reject(const char* operation, const std::string& what) {
  throw std::invalid_argument(fmt::format("{}: {}", operation, what));
}

inline void require(bool holds, const char* operation, const Tensor& a, const Tensor& b) {
  if (!holds)
    reject(operation,
           fmt::format("shapes {} and {} do not fit", to_string(a.shape()), to_string(b.shape())));
}

// Everything but the last axis, as rows.
inline kernels::RowShape rows_of(const Tensor& x, const char* operation) {
  if (x.shape().empty()) reject(operation, "needs at least one axis");
  const std::int64_t channels = x.dim(-1);
  return {channels == 0 ? 0 : x.count() / channels, channels};
}

inline void require_channels(const Tensor& x, const Tensor& parameter, const char* operation) {
  require(!x.shape().empty() && parameter.shape() == Shape{x.dim(-1)}, operation, x, parameter);
}

inline void require_stride(int stride, const char* operation) {
  if (stride < 1) reject(operation, fmt::format("stride {} is not positive", stride));
}

}  // namespace maskwatch::nn
