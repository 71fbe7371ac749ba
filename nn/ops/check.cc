#include "nn/ops/check.h"

#include <fmt/format.h>

#include <stdexcept>

namespace maskwatch::nn {

void reject(const char* operation, const std::string& what) {
  throw std::invalid_argument(fmt::format("{}: {}", operation, what));
}

void reject_shapes(const char* operation, const Shape& a, const Shape& b) {
  reject(operation, fmt::format("shapes {} and {} do not fit", to_string(a), to_string(b)));
}

void reject_devices(const char* operation, const Tensor& a, const Tensor& b) {
  reject(operation, fmt::format("tensors on {} and {}", a.device().name(), b.device().name()));
}

void require_number(bool holds, const char* operation, const char* what, double value,
                    const char* range) {
  if (!holds) reject(operation, fmt::format("{} {} is not in {}", what, value, range));
}

kernels::RowShape rows_of(const Tensor& x, const char* operation) {
  if (x.shape().empty()) reject(operation, "needs at least one axis");
  const std::int64_t channels = x.dim(-1);
  return {channels == 0 ? 0 : x.count() / channels, channels};
}

void require_channels(const Tensor& x, const Tensor& parameter, const char* operation) {
  require(!x.shape().empty() && parameter.shape() == Shape{x.dim(-1)}, operation, x, parameter);
}

void require_stride(int stride, const char* operation) {
  if (stride < 1) reject(operation, fmt::format("stride {} is not positive", stride));
}

}  // namespace maskwatch::nn
