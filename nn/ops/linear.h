// Products with a matrix, and biases.
#pragma once

#include <cstdint>

#include "nn/ops/check.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// x[..., in] · weight[in, out]: a dense layer, or a 1×1 convolution of NHWC. Saves both.
inline Tensor matmul(const Tensor& x, const Tensor& weight) {
  require(weight.shape().size() == 2 && weight.dim(0) > 0 && !x.shape().empty() &&
              x.dim(-1) == weight.dim(0),
          "matmul", x, weight);
  const std::int64_t in = weight.dim(0), out = weight.dim(1), rows = rows_of(x, "matmul").rows;
  Shape shape = x.shape();
  shape.back() = out;
  Tensor y = Tensor::empty(shape);
  backend().gemm(y.data(), x.data(), weight.data(), {rows, out, in});
  y.record({x, weight}, [=](const Tensor& dy) {
    if (x.requires_grad()) {
      Tensor dx = Tensor::empty(x.shape());
      backend().gemm_nt(dx.data(), dy.data(), weight.data(), {rows, in, out});
      x.add_gradient(dx);
    }
    if (weight.requires_grad()) {
      Tensor dw = Tensor::empty(weight.shape());
      backend().gemm_tn(dw.data(), x.data(), dy.data(), {in, out, rows});
      weight.add_gradient(dw);
    }
  });
  return y;
}

// x[..., channels] + bias[channels]
inline Tensor add_bias(const Tensor& x, const Tensor& bias) {
  require_channels(x, bias, "add_bias");
  const kernels::RowShape shape = rows_of(x, "add_bias");
  Tensor y = Tensor::empty(x.shape());
  backend().add_bias(y.data(), x.data(), bias.data(), shape);
  y.record({x, bias}, [=](const Tensor& dy) {
    x.add_gradient(dy);
    if (!bias.requires_grad()) return;
    Tensor dbias = Tensor::empty(bias.shape());
    backend().add_bias_backward(dbias.data(), dy.data(), shape);
    bias.add_gradient(dbias);
  });
  return y;
}

}  // namespace maskwatch::nn
