// Batch normalisation over all axes but the last (Ioffe & Szegedy 2015), then an activation.
#pragma once

#include <cstdint>

#include "nn/ops/check.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

using kernels::Activation;

struct BatchNormState {
  Tensor gamma, beta;     // [channels], trained
  Tensor mean, variance;  // [channels], running statistics
};

namespace detail {

inline void require_batch_norm(const Tensor& x, const BatchNormState& state,
                               const char* operation) {
  for (const Tensor* parameter : {&state.gamma, &state.beta, &state.mean, &state.variance})
    require_channels(x, *parameter, operation);
}

// running = momentum · running + (1 - momentum) · now
inline void move_statistics(const BatchNormState& state, const Tensor& mean, const Tensor& variance,
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

using BatchNormBackward = decltype(kernels::Table<float>::batch_norm_backward);

inline void record_batch_norm(const Tensor& y, const Tensor& x, const BatchNormState& state,
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

}  // namespace detail

// Normalises by the statistics of x and moves the running ones: running = momentum · running + (1 -
// momentum) · now. The running variance takes the biased one (Keras) when `unbiased` is false,
// n/(n-1) times it (PyTorch) when true. Saves x and its statistics.
inline Tensor batch_norm_training(const Tensor& x, const BatchNormState& state, double epsilon,
                                  double momentum, bool unbiased, Activation activation) {
  detail::require_batch_norm(x, state, "batch_norm_training");
  const kernels::RowShape shape = rows_of(x, "batch_norm_training");
  if (shape.rows < 1) reject("batch_norm_training", "no rows in " + to_string(x.shape()));
  Tensor mean = Tensor::empty(state.mean.shape()), variance = Tensor::empty(state.mean.shape());
  backend().batch_norm_statistics(mean.data(), variance.data(), x.data(), shape);
  if (recording() != Recording::again)
    detail::move_statistics(state, mean, variance, momentum, unbiased, shape.rows);
  Tensor y = Tensor::empty(x.shape());
  backend().batch_norm(y.data(), x.data(), mean.data(), variance.data(), state.gamma.data(),
                       state.beta.data(), epsilon, activation, shape);
  detail::record_batch_norm(y, x, state, mean, variance, epsilon, activation,
                            backend().batch_norm_backward);
  return y;
}

// Normalises by the running statistics. Saves x.
inline Tensor batch_norm_frozen(const Tensor& x, const BatchNormState& state, double epsilon,
                                Activation activation) {
  detail::require_batch_norm(x, state, "batch_norm_frozen");
  Tensor y = Tensor::empty(x.shape());
  backend().batch_norm(y.data(), x.data(), state.mean.data(), state.variance.data(),
                       state.gamma.data(), state.beta.data(), epsilon, activation,
                       rows_of(x, "batch_norm_frozen"));
  detail::record_batch_norm(y, x, state, state.mean, state.variance, epsilon, activation,
                            backend().batch_norm_frozen_backward);
  return y;
}

}  // namespace maskwatch::nn
