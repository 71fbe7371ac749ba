// Convolutions without bias. Both save their input and weight.
#pragma once

#include "nn/ops/check.h"
#include "nn/padding.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// x[n, h, w, in] * weight[k, k, in, out]
inline Tensor conv2d(const Tensor& x, const Tensor& weight, int stride, Padding padding) {
  require_stride(stride, "conv2d");
  require(x.shape().size() == 4 && weight.shape().size() == 4 && weight.dim(0) == weight.dim(1) &&
              weight.dim(2) == x.dim(3) && x.count() > 0,
          "conv2d", x, weight);
  const kernels::ConvShape shape = conv_shape(x.dim(0), x.dim(1), x.dim(2), x.dim(3), weight.dim(3),
                                              static_cast<int>(weight.dim(0)), stride, padding);
  require(shape.out_height > 0 && shape.out_width > 0, "conv2d", x, weight);
  kernels::Device& device = device_of("conv2d", x, weight);
  const auto& k = device.table();
  Tensor y =
      Tensor::empty({shape.batch, shape.out_height, shape.out_width, shape.out_channels}, device);
  k.conv2d(y.data(), x.data(), weight.data(), nullptr, kernels::Activation::none, shape);
  y.record({x, weight}, [=, &k](const Tensor& dy) {
    if (x.requires_grad()) {
      Tensor dx = Tensor::empty(x.shape(), x.device());
      k.conv2d_backward_input(dx.data(), dy.data(), weight.data(), shape);
      x.add_gradient(dx);
    }
    if (weight.requires_grad()) {
      Tensor dw = Tensor::empty(weight.shape(), weight.device());
      k.conv2d_backward_weight(dw.data(), dy.data(), x.data(), shape);
      weight.add_gradient(dw);
    }
  });
  return y;
}

// x[n, h, w, c] * weight[3, 3, c], each channel by itself.
inline Tensor depthwise3x3(const Tensor& x, const Tensor& weight, int stride, Padding padding) {
  require_stride(stride, "depthwise3x3");
  require(x.shape().size() == 4 && weight.shape() == Shape{3, 3, x.dim(3)} && x.count() > 0,
          "depthwise3x3", x, weight);
  const kernels::ConvShape shape =
      conv_shape(x.dim(0), x.dim(1), x.dim(2), x.dim(3), x.dim(3), 3, stride, padding);
  require(shape.out_height > 0 && shape.out_width > 0, "depthwise3x3", x, weight);
  kernels::Device& device = device_of("depthwise3x3", x, weight);
  const auto& k = device.table();
  Tensor y =
      Tensor::empty({shape.batch, shape.out_height, shape.out_width, shape.out_channels}, device);
  k.depthwise3x3(y.data(), x.data(), weight.data(), nullptr, kernels::Activation::none, shape);
  y.record({x, weight}, [=, &k](const Tensor& dy) {
    if (x.requires_grad()) {
      Tensor dx = Tensor::empty(x.shape(), x.device());
      k.depthwise3x3_backward_input(dx.data(), dy.data(), weight.data(), shape);
      x.add_gradient(dx);
    }
    if (weight.requires_grad()) {
      Tensor dw = Tensor::empty(weight.shape(), weight.device());
      k.depthwise3x3_backward_weight(dw.data(), dy.data(), x.data(), shape);
      weight.add_gradient(dw);
    }
  });
  return y;
}

}  // namespace maskwatch::nn
