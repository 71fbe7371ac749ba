// Batch norm by itself, and convolutions with the batch norms between them.
#include <algorithm>
#include <optional>

#include "nn/ops.h"
#include "nn/shape_checks.h"

namespace maskwatch::nn {
namespace {

using BatchNormBackward = decltype(kernels::Table<float>::batch_norm_backward);

void record_batch_norm(const Tensor& y, const Tensor& x, const BatchNormState& state,
                       const Tensor& mean, const Tensor& variance, double epsilon,
                       Activation activation, BatchNormBackward backward) {
  y.record({x, state.gamma, state.beta},
           [=, gamma = state.gamma, beta = state.beta](const Tensor& dy) {
             Tensor dx = dy.sole_owner() ? dy : Tensor::empty(x.shape());
             Tensor dgamma = Tensor::empty(gamma.shape()), dbeta = Tensor::empty(gamma.shape());
             backward(dx.data(), dgamma.data(), dbeta.data(), dy.data(), x.data(), mean.data(),
                      variance.data(), gamma.data(), beta.data(), epsilon, activation,
                      rows_of(x, "batch_norm"));
             x.add_gradient(dx);
             gamma.add_gradient(dgamma);
             beta.add_gradient(dbeta);
           });
}

// running = momentum · running + (1 - momentum) · now
void move_statistics(const BatchNormState& state, const Tensor& mean, const Tensor& variance,
                     double momentum, bool unbiased, std::int64_t rows) {
  const double correction =
      unbiased && rows > 1 ? static_cast<double>(rows) / static_cast<double>(rows - 1) : 1;
  for (std::int64_t c = 0; c < mean.count(); ++c) {
    float& running_mean = state.mean.data()[c];
    float& running_variance = state.variance.data()[c];
    running_mean = static_cast<float>(momentum * running_mean + (1 - momentum) * mean.data()[c]);
    running_variance = static_cast<float>(momentum * running_variance +
                                          (1 - momentum) * correction * variance.data()[c]);
  }
}

void require_batch_norm(const Tensor& x, const BatchNormState& state, const char* operation) {
  for (const Tensor* parameter : {&state.gamma, &state.beta, &state.mean, &state.variance})
    require_channels(x, *parameter, operation);
}

}  // namespace

Tensor batch_norm_training(const Tensor& x, const BatchNormState& state, double epsilon,
                           double momentum, bool unbiased, Activation activation) {
  require_batch_norm(x, state, "batch_norm_training");
  const kernels::RowShape shape = rows_of(x, "batch_norm_training");
  if (shape.rows < 1) reject("batch_norm_training", "no rows in " + to_string(x.shape()));
  Tensor mean = Tensor::empty(state.mean.shape()), variance = Tensor::empty(state.mean.shape());
  backend().batch_norm_statistics(mean.data(), variance.data(), x.data(), shape);
  if (recording() != Recording::again)
    move_statistics(state, mean, variance, momentum, unbiased, shape.rows);
  Tensor y = Tensor::empty(x.shape());
  backend().batch_norm(y.data(), x.data(), mean.data(), variance.data(), state.gamma.data(),
                       state.beta.data(), epsilon, activation, shape);
  record_batch_norm(y, x, state, mean, variance, epsilon, activation,
                    backend().batch_norm_backward);
  return y;
}

Tensor batch_norm_frozen(const Tensor& x, const BatchNormState& state, double epsilon,
                         Activation activation) {
  require_batch_norm(x, state, "batch_norm_frozen");
  Tensor y = Tensor::empty(x.shape());
  backend().batch_norm(y.data(), x.data(), state.mean.data(), state.variance.data(),
                       state.gamma.data(), state.beta.data(), epsilon, activation,
                       rows_of(x, "batch_norm_frozen"));
  record_batch_norm(y, x, state, state.mean, state.variance, epsilon, activation,
                    backend().batch_norm_frozen_backward);
  return y;
}

namespace {

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

LayerRun start(const ConvBatchNormLayer& layer, const Shape& in) {
  constexpr const char* operation = "conv_batch_norms";
  const Tensor& w = layer.weight;
  const std::int64_t channels = in.empty() ? 0 : in.back();
  const bool pointwise = w.shape().size() == 2 && channels > 0 && w.dim(0) == channels;
  const bool depthwise = w.shape() == Shape{3, 3, channels} && in.size() == 4;
  if (!(pointwise || depthwise) || count_of(in) == 0)
    reject(operation,
           fmt::format("shapes {} and {} do not fit", to_string(in), to_string(w.shape())));
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
    if (count_of(out) == 0)
      reject(operation,
             fmt::format("shapes {} and {} do not fit", to_string(in), to_string(w.shape())));
  }
  run.z = Tensor::empty(out);
  require_batch_norm(run.z, layer.state, operation);
  const Shape per_channel = {out.back()};
  run.mean = layer.fixed_statistics ? layer.state.mean : Tensor::empty(per_channel);
  run.variance = layer.fixed_statistics ? layer.state.variance : Tensor::empty(per_channel);
  return run;
}

// The layer on x, which `before` made, if anything did.
void run_forward(const LayerRun& run, const Tensor& x, const kernels::BatchNorm<float>* before) {
  const ConvBatchNormLayer& layer = run.layer;
  float* mean = layer.fixed_statistics ? nullptr : run.mean.data();
  float* variance = layer.fixed_statistics ? nullptr : run.variance.data();
  const float* w = layer.weight.data();
  if (run.is_pointwise())
    backend().pointwise_batch_norm(run.z.data(), mean, variance, x.data(), before, w,
                                   run.product());
  else
    backend().depthwise3x3_batch_norm(run.z.data(), mean, variance, x.data(), before, w, run.shape);
  if (mean && recording() != Recording::again)
    move_statistics(layer.state, run.mean, run.variance, layer.momentum, layer.unbiased,
                    run.rows());
}

// dgamma and dbeta of one layer.
struct StateGradient {
  explicit StateGradient(std::int64_t channels)
      : gamma(Tensor::empty({channels})), beta(Tensor::empty({channels})) {}
  Tensor gamma, beta;
};

// Lets go of what each convolution made as soon as its gradient is taken.
void backward_through(std::vector<LayerRun>& runs, const Tensor& x, bool residual,
                      const Tensor& dy) {
  const LayerRun& last = runs.back();
  StateGradient state(last.shape.out_channels);
  backend().batch_norm_parameter_gradients(state.gamma.data(), state.beta.data(), dy.data(),
                                           last.z.data(), last.batch_norm(),
                                           {last.rows(), last.shape.out_channels});
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
    const Tensor dx = wanted ? Tensor::empty(in.shape()) : Tensor();
    const Tensor dw = Tensor::empty(run.layer.weight.shape());
    StateGradient state_before(run.shape.in_channels);
    float* to = wanted ? dx.data() : nullptr;
    const float* w = run.layer.weight.data();
    if (run.is_pointwise())
      backend().pointwise_batch_norm_backward(
          to, dw.data(), state_before.gamma.data(), state_before.beta.data(), gradient, in.data(),
          before ? &*before : nullptr, w, residual && i == 0 ? dy.data() : nullptr, run.product());
    else
      backend().depthwise3x3_batch_norm_backward(to, dw.data(), state_before.gamma.data(),
                                                 state_before.beta.data(), gradient, in.data(),
                                                 before ? &*before : nullptr, w, run.shape);
    run.layer.weight.add_gradient(dw);
    run.z = Tensor();
    if (i == 0 && wanted && residual && !run.is_pointwise())
      backend().add(to, to, dy.data(), dx.count());
    behind = dx;
    state = state_before;
  }
  if (x.requires_grad()) x.add_gradient(behind);
}

}  // namespace

Tensor conv_batch_norms(const Tensor& x, const std::vector<ConvBatchNormLayer>& layers,
                        bool residual) {
  if (layers.empty()) reject("conv_batch_norms", "no layers");
  std::vector<Tensor> inputs = {x};
  for (const ConvBatchNormLayer& layer : layers)
    inputs.insert(inputs.end(), {layer.weight, layer.state.gamma, layer.state.beta});
  const bool keep =
      recording() != Recording::off &&
      std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.requires_grad(); });
  std::vector<LayerRun> runs;
  for (const ConvBatchNormLayer& layer : layers) {
    const Tensor in = runs.empty() ? x : runs.back().z;
    const std::optional<kernels::BatchNorm<float>> before =
        runs.empty() ? std::nullopt : std::optional(runs.back().batch_norm());
    runs.push_back(start(layer, in.shape()));
    run_forward(runs.back(), in, before ? &*before : nullptr);
    if (!keep && runs.size() > 1) runs.end()[-2].z = Tensor();
  }
  const LayerRun& last = runs.back();
  if (residual) require(last.z.shape() == x.shape(), "conv_batch_norms", x, last.z);
  Tensor y = keep ? Tensor::empty(last.z.shape()) : last.z;
  const kernels::BatchNorm<float> layer = last.batch_norm();
  backend().batch_norm(y.data(), last.z.data(), layer.mean, layer.variance, layer.gamma, layer.beta,
                       layer.epsilon, layer.activation, {last.rows(), last.shape.out_channels});
  if (residual) backend().add(y.data(), y.data(), x.data(), y.count());
  if (keep)
    y.record(inputs, [=](const Tensor& dy) mutable { backward_through(runs, x, residual, dy); });
  return y;
}

}  // namespace maskwatch::nn
