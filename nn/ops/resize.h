// Up-sampling by 2, each value repeated: what a feature pyramid adds to the level below (Lin et al.
// 2017).
#pragma once

#include <string>

#include "nn/ops/check.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// x[n, h, w, c] to [n, height, width, c], height = 2h or 2h - 1, width = 2w or 2w - 1: what lies
// beyond is left out, so that levels of odd sizes fit.
inline Tensor upsample2x(const Tensor& x, std::int64_t height, std::int64_t width) {
  if (x.shape().size() != 4 || (height + 1) / 2 != x.dim(1) || (width + 1) / 2 != x.dim(2))
    reject("upsample2x",
           to_string(x.shape()) + " to " + std::to_string(height) + "x" + std::to_string(width));
  const auto& k = x.device().table();
  const kernels::UpsampleShape shape{x.dim(0), height, width, x.dim(3)};
  const Tensor y = Tensor::empty({shape.batch, height, width, shape.channels}, x.device());
  k.upsample2x(y.data(), x.data(), shape);
  y.record({x}, [x, shape, &k](const Tensor& dy) {
    const Tensor dx = Tensor::empty(x.shape(), x.device());
    k.upsample2x_backward(dx.data(), dy.data(), shape);
    x.add_gradient(dx);
  });
  return y;
}

}  // namespace maskwatch::nn
