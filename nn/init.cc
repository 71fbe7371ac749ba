#include "nn/init.h"

#include <cmath>

namespace maskwatch::nn {
namespace {

thread_local int undrawn_scopes = 0;

}  // namespace

UndrawnParameters::UndrawnParameters() { ++undrawn_scopes; }
UndrawnParameters::~UndrawnParameters() { --undrawn_scopes; }

Tensor he_normal(Shape shape, std::int64_t fan_out, Random& random) {
  Tensor tensor = Tensor::empty(std::move(shape));
  if (undrawn_scopes > 0) return tensor;
  const double deviation = std::sqrt(2.0 / static_cast<double>(fan_out));
  for (std::int64_t i = 0; i < tensor.count(); ++i)
    tensor.data()[i] = static_cast<float>(deviation * random.gaussian());
  return tensor;
}

Tensor glorot_uniform(Shape shape, std::int64_t fan_in, std::int64_t fan_out, Random& random) {
  Tensor tensor = Tensor::empty(std::move(shape));
  if (undrawn_scopes > 0) return tensor;
  const double limit = std::sqrt(6.0 / static_cast<double>(fan_in + fan_out));
  for (std::int64_t i = 0; i < tensor.count(); ++i)
    tensor.data()[i] = static_cast<float>(limit * (2 * random.uniform() - 1));
  return tensor;
}

}  // namespace maskwatch::nn
