// Convolutions with the batch norms between them, as one operation.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "nn/ops/batch_norm.h"
#include "nn/ops/check.h"
#include "nn/padding.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// One layer of conv_batch_norms(): a convolution without bias, batch norm, activation.
struct ConvBatchNormLayer {
  Tensor weight;  // [in, out] (1×1) or [3, 3, channels] (depthwise)
  BatchNormState state;
  double epsilon, momentum;
  bool unbiased;
  Activation activation;
  bool fixed_statistics;  // normalise by the running ones, and leave them be
  int stride = 1;         // of a depthwise layer, as its padding
  Padding padding = Padding::tf;
};

namespace detail {

// What one layer of conv_batch_norms() leaves for its gradient.
struct LayerRun {
  ConvBatchNormLayer layer;
  kernels::ConvShape shape;  // of a pointwise layer, positions and channels alone
  Tensor mean, variance;     // those that z was normalised by
  Tensor z;                  // what the convolution made

  bool is_pointwise() const { return layer.weight.shape().size() == 2; }
  std::int64_t rows() const { return shape.batch * shape.out_height * shape.out_width; }
  kernels::GemmShape product() const { return {rows(), shape.out_channels, shape.in_channels}; }

  kernels::BatchNorm<float> batch_norm() const {
    const BatchNormState& state = layer.state;
    return {.mean = mean.data(),
            .variance = variance.data(),
            .gamma = state.gamma.data(),
            .beta = state.beta.data(),
            .epsilon = layer.epsilon,
            .activation = layer.activation,
            .fixed = layer.fixed_statistics};
  }
};

inline LayerRun start(const ConvBatchNormLayer& layer, const Tensor& x) {
  constexpr const char* operation = "conv_batch_norms";
  const Tensor& w = layer.weight;
  const Shape& in = x.shape();
  const std::int64_t channels = in.empty() ? 0 : in.back();
  const bool pointwise = w.shape().size() == 2 && channels > 0 && w.dim(0) == channels;
  const bool depthwise = w.shape() == Shape{3, 3, channels} && in.size() == 4;
  if (!(pointwise || depthwise) || count_of(in) == 0) reject_shapes(operation, in, w.shape());
  require_stride(layer.stride, operation);
  LayerRun run = {.layer = layer, .shape = {}, .mean = {}, .variance = {}, .z = {}};
  Shape out = in;
  if (pointwise) {
    run.shape.batch = count_of(in) / channels;
    run.shape.out_height = run.shape.out_width = 1;
    run.shape.in_channels = channels;
    run.shape.out_channels = out.back() = w.dim(1);
  } else {
    run.shape = conv_shape(in[0], in[1], in[2], channels, channels, 3, layer.stride, layer.padding);
    out = {in[0], run.shape.out_height, run.shape.out_width, channels};
    if (count_of(out) == 0) reject_shapes(operation, in, w.shape());
  }
  kernels::Device& device = device_of(operation, x, w);
  run.z = Tensor::empty(out, device);
  require_batch_norm(run.z, layer.state, operation);
  device_of_batch_norm(operation, run.z, layer.state);
  const Shape per_channel = {out.back()};
  run.mean = layer.fixed_statistics ? layer.state.mean : Tensor::empty(per_channel, device);
  run.variance = layer.fixed_statistics ? layer.state.variance : Tensor::empty(per_channel, device);
  return run;
}

// The layer on x, which `before` made, if anything did.
inline void run_forward(const LayerRun& run, const Tensor& x,
                        const kernels::BatchNorm<float>* before) {
  const ConvBatchNormLayer& layer = run.layer;
  float* mean = layer.fixed_statistics ? nullptr : run.mean.data();
  float* variance = layer.fixed_statistics ? nullptr : run.variance.data();
  const float* w = layer.weight.data();
  const auto& k = x.device().table();
  if (run.is_pointwise())
    k.pointwise_batch_norm(run.z.data(), mean, variance, x.data(), before, w, run.product());
  else
    k.depthwise3x3_batch_norm(run.z.data(), mean, variance, x.data(), before, w, run.shape);
  if (mean && recording() != Recording::again)
    move_statistics(layer.state, run.mean, run.variance, layer.momentum, layer.unbiased,
                    run.rows());
}

// dgamma and dbeta of one layer.
struct StateGradient {
  StateGradient(std::int64_t channels, kernels::Device& device)
      : gamma(Tensor::empty({channels}, device)), beta(Tensor::empty({channels}, device)) {}
  Tensor gamma, beta;
};

// Lets go of what each convolution made as soon as its gradient is taken.
inline void backward_through(std::vector<LayerRun>& runs, const Tensor& x, bool residual,
                             const Tensor& dy) {
  const LayerRun& last = runs.back();
  kernels::Device& device = x.device();
  const auto& k = device.table();
  StateGradient state(last.shape.out_channels, device);
  k.batch_norm_parameter_gradients(state.gamma.data(), state.beta.data(), dy.data(), last.z.data(),
                                   last.batch_norm(), {last.rows(), last.shape.out_channels});
  Tensor behind = dy;  // the gradient behind layer i's activation
  for (std::size_t i = runs.size(); i-- > 0;) {
    LayerRun& run = runs[i];
    run.layer.state.gamma.add_gradient(state.gamma);
    run.layer.state.beta.add_gradient(state.beta);
    const kernels::BatchNormGradient<float> gradient = {
        behind.data(), run.z.data(), run.batch_norm(), state.gamma.data(), state.beta.data()};
    const Tensor& in = i > 0 ? runs[i - 1].z : x;
    const std::optional<kernels::BatchNorm<float>> before =
        i > 0 ? std::optional(runs[i - 1].batch_norm()) : std::nullopt;
    const bool wanted = i > 0 || x.requires_grad();
    const Tensor dx = wanted ? Tensor::empty(in.shape(), device) : Tensor();
    const Tensor dw = Tensor::empty(run.layer.weight.shape(), device);
    StateGradient state_before(run.shape.in_channels, device);
    float* to = wanted ? dx.data() : nullptr;
    const float* w = run.layer.weight.data();
    if (run.is_pointwise())
      k.pointwise_batch_norm_backward(
          to, dw.data(), state_before.gamma.data(), state_before.beta.data(), gradient, in.data(),
          before ? &*before : nullptr, w, residual && i == 0 ? dy.data() : nullptr, run.product());
    else
      k.depthwise3x3_batch_norm_backward(to, dw.data(), state_before.gamma.data(),
                                         state_before.beta.data(), gradient, in.data(),
                                         before ? &*before : nullptr, w, run.shape);
    run.layer.weight.add_gradient(dw);
    run.z = Tensor();
    if (i == 0 && wanted && residual && !run.is_pointwise()) k.add(to, to, dy.data(), dx.count());
    behind = dx;
    state = state_before;
  }
  if (x.requires_grad()) x.add_gradient(behind);
}

}  // namespace detail

// [x +] layers one after the other, as batch_norm_training() or batch_norm_frozen() behind matmul()
// or depthwise3x3(). What lies between two convolutions is never written down: each reads the one
// before through its batch norm. So a layer keeps one result for backward() instead of two.
inline Tensor conv_batch_norms(const Tensor& x, const std::vector<ConvBatchNormLayer>& layers,
                               bool residual = false) {
  if (layers.empty()) reject("conv_batch_norms", "no layers");
  std::vector<Tensor> inputs = {x};
  for (const ConvBatchNormLayer& layer : layers)
    inputs.insert(inputs.end(), {layer.weight, layer.state.gamma, layer.state.beta});
  const bool keep =
      recording() != Recording::off &&
      std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.requires_grad(); });
  std::vector<detail::LayerRun> runs;
  for (const ConvBatchNormLayer& layer : layers) {
    const Tensor in = runs.empty() ? x : runs.back().z;
    const std::optional<kernels::BatchNorm<float>> before =
        runs.empty() ? std::nullopt : std::optional(runs.back().batch_norm());
    runs.push_back(detail::start(layer, in));
    detail::run_forward(runs.back(), in, before ? &*before : nullptr);
    if (!keep && runs.size() > 1) runs.end()[-2].z = Tensor();
  }
  const detail::LayerRun& last = runs.back();
  if (residual) require(last.z.shape() == x.shape(), "conv_batch_norms", x, last.z);
  kernels::Device& device = x.device();
  Tensor y = keep ? Tensor::empty(last.z.shape(), device) : last.z;
  const kernels::BatchNorm<float> layer = last.batch_norm();
  const auto& k = device.table();
  k.batch_norm(y.data(), last.z.data(), layer.mean, layer.variance, layer.gamma, layer.beta,
               layer.epsilon, layer.activation, {last.rows(), last.shape.out_channels});
  if (residual) k.add(y.data(), y.data(), x.data(), y.count());
  if (keep)
    y.record(inputs,
             [=](const Tensor& dy) mutable { detail::backward_through(runs, x, residual, dy); });
  return y;
}

}  // namespace maskwatch::nn
