// Pooling.
#pragma once

#include "nn/ops/check.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// x[n, h, w, c] to [n, c].
inline Tensor global_average_pool(const Tensor& x) {
  if (x.shape().size() != 4 || x.count() == 0)
    reject("global_average_pool", "takes [n, h, w, c], not " + to_string(x.shape()));
  const kernels::PoolShape shape{x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};
  const auto& k = x.device().table();
  Tensor y = Tensor::empty({shape.batch, shape.channels}, x.device());
  k.global_average_pool(y.data(), x.data(), shape);
  y.record({x}, [=, &k](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.device());
    k.global_average_pool_backward(dx.data(), dy.data(), shape);
    x.add_gradient(dx);
  });
  return y;
}

}  // namespace maskwatch::nn
