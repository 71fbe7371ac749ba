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
  kernels::Device& device = device_of("matmul", x, weight);
  const auto& k = device.table();
  Tensor y = Tensor::empty(shape, device);
  k.gemm(y.data(), x.data(), weight.data(), {rows, out, in});
  y.record({x, weight}, [=, &k](const Tensor& dy) {
    if (x.requires_grad()) {
      Tensor dx = Tensor::empty(x.shape(), x.device());
      k.gemm_nt(dx.data(), dy.data(), weight.data(), {rows, in, out});
      x.add_gradient(dx);
    }
    if (weight.requires_grad()) {
      Tensor dw = Tensor::empty(weight.shape(), weight.device());
      k.gemm_tn(dw.data(), x.data(), dy.data(), {in, out, rows});
      weight.add_gradient(dw);
    }
  });
  return y;
}

// x[..., channels] + bias[channels]
inline Tensor add_bias(const Tensor& x, const Tensor& bias) {
  require_channels(x, bias, "add_bias");
  const kernels::RowShape shape = rows_of(x, "add_bias");
  kernels::Device& device = device_of("add_bias", x, bias);
  const auto& k = device.table();
  Tensor y = Tensor::empty(x.shape(), device);
  k.add_bias(y.data(), x.data(), bias.data(), shape);
  y.record({x, bias}, [=, &k](const Tensor& dy) {
    x.add_gradient(dy);
    if (!bias.requires_grad()) return;
    Tensor dbias = Tensor::empty(bias.shape(), bias.device());
    k.add_bias_backward(dbias.data(), dy.data(), shape);
    bias.add_gradient(dbias);
  });
  return y;
}

}  // namespace maskwatch::nn
