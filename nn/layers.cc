#include "nn/layers.h"

#include <stdexcept>

namespace maskwatch::nn {

BatchNorm::BatchNorm(std::int64_t channels, const BatchNormOptions& options, Activation activation)
    : options_(options), activation_(activation) {
  add_parameter("gamma", state_.gamma, Tensor::full({channels}, 1));
  add_parameter("beta", state_.beta, Tensor::zeros({channels}));
  add_buffer("mean", state_.mean, Tensor::zeros({channels}));
  add_buffer("variance", state_.variance, Tensor::full({channels}, 1));
}

Tensor BatchNorm::forward(const Tensor& x) {
  if (!normalises_by_batch()) return batch_norm_frozen(x, state_, options_.epsilon, activation_);
  return batch_norm_training(x, state_, options_.epsilon, options_.momentum, options_.unbiased,
                             activation_);
}

Value BatchNorm::lower(PlanBuilder&, Value) const {
  throw std::logic_error("BatchNorm::lower: fold it into the convolution before it");
}

FoldedWeights BatchNorm::fold_into(const Tensor& weight) const {
  return fold_batch_norm(weight, state_.gamma, state_.beta, state_.mean, state_.variance,
                         options_.epsilon);
}

ConvBatchNormLayer BatchNorm::behind(const Tensor& weight, int stride, Padding padding) const {
  return {.weight = weight,
          .state = state_,
          .epsilon = options_.epsilon,
          .momentum = options_.momentum,
          .unbiased = options_.unbiased,
          .activation = activation_,
          .fixed_statistics = !normalises_by_batch(),
          .stride = stride,
          .padding = padding};
}

namespace {

Tensor initial_weight(const ConvBatchNorm::Options& o, Random& random) {
  switch (o.kind) {
    case ConvKind::full3x3:
      return he_normal({3, 3, o.in, o.out}, 9 * o.out, random);
    case ConvKind::depthwise3x3:
      return he_normal({3, 3, o.out}, 9, random);
    default:
      return he_normal({o.in, o.out}, o.out, random);
  }
}

}  // namespace

ConvBatchNorm::Convolution::Convolution(const Options& options, Random& random)
    : options_(options) {
  add_parameter("weight", weight_, initial_weight(options, random));
}

Tensor ConvBatchNorm::Convolution::forward(const Tensor& x) {
  switch (options_.kind) {
    case ConvKind::full3x3:
      return conv2d(x, weight_, options_.stride, options_.padding);
    case ConvKind::depthwise3x3:
      return depthwise3x3(x, weight_, options_.stride, options_.padding);
    default:
      return matmul(x, weight_);
  }
}

Value ConvBatchNorm::Convolution::lower(PlanBuilder& builder, Value x) const {
  return lower(builder, x, {weight_, {}}, Activation::none, {});
}

Value ConvBatchNorm::Convolution::lower(PlanBuilder& builder, Value x, const FoldedWeights& weights,
                                        Activation activation, Value residual) const {
  if (options_.kind == ConvKind::pointwise)
    return builder.pointwise(x, weights, activation, residual);
  const PictureShape& in = builder.shape(x);
  const kernels::ConvShape shape = conv_shape(1, in.height, in.width, in.channels, options_.out, 3,
                                              options_.stride, options_.padding);
  if (options_.kind == ConvKind::full3x3) return builder.conv2d(x, weights, shape, activation);
  return builder.depthwise3x3(x, weights, shape, activation);
}

kernels::ConvShape ConvBatchNorm::Convolution::shape_for(const PictureShape& in) const {
  return conv_shape(1, in.height, in.width, in.channels, options_.out, 3, options_.stride,
                    options_.padding);
}

Tensor ConvBatchNorm::forward(const Tensor& x) {
  if (convolution.options().kind == ConvKind::full3x3)
    return batch_norm.forward(convolution.forward(x));
  return conv_batch_norms(x, {layer()});
}

ConvBatchNormLayer ConvBatchNorm::layer() const {
  const Options& options = convolution.options();
  return batch_norm.behind(convolution.weight(), options.stride, options.padding);
}

Value ConvBatchNorm::lower(PlanBuilder& builder, Value x, Value residual) const {
  return convolution.lower(builder, x, folded(), batch_norm.activation(), residual);
}

Dense::Dense(std::int64_t in, std::int64_t out, Random& random) {
  add_parameter("weight", weight_, glorot_uniform({in, out}, in, out, random));
  add_parameter("bias", bias_, Tensor::zeros({out}));
}

Tensor Dense::forward(const Tensor& x) { return add_bias(matmul(x, weight_), bias_); }

Value Dense::lower(PlanBuilder& builder, Value x, Activation activation) const {
  return builder.pointwise(x, {weight_, bias_}, activation);
}

}  // namespace maskwatch::nn
