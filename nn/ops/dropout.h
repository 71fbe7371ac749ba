// Dropout (Srivastava et al. 2014).
#pragma once

#include <cstdint>

#include "nn/ops/check.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// Zeros each value with probability `rate` and scales the rest; which ones depends on `seed`
// alone, so backward needs no saved mask. 0 <= rate < 1.
inline Tensor dropout(const Tensor& x, double rate, std::uint64_t seed) {
  require_number(rate >= 0 && rate < 1, "dropout", "rate", rate, "[0, 1)");
  const auto& k = x.device().table();
  Tensor y = Tensor::empty(x.shape(), x.device());
  k.dropout(y.data(), x.data(), rate, seed, x.count());
  y.record({x}, [=, &k](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.device());
    k.dropout(dx.data(), dy.data(), rate, seed, x.count());
    x.add_gradient(dx);
  });
  return y;
}

}  // namespace maskwatch::nn
