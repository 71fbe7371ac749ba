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

inline kernels::Device& device_of_batch_norm(const char* operation, const Tensor& x,
                                             const BatchNormState& state) {
  return device_of(operation, x, state.gamma, state.beta, state.mean, state.variance);
}

// running = momentum · running + (1 - momentum) · now
inline void move_statistics(const BatchNormState& state, const Tensor& mean, const Tensor& variance,
                            double momentum, bool unbiased, std::int64_t rows) {
  const double correction =
      unbiased && rows > 1 ? static_cast<double>(rows) / static_cast<double>(rows - 1) : 1;
  const auto& k = mean.device().table();
  k.moving_average(state.mean.data(), mean.data(), momentum, 1, mean.count());
  k.moving_average(state.variance.data(), variance.data(), momentum, correction, mean.count());
}

using BatchNormBackward = decltype(kernels::Table<float>::batch_norm_backward);

inline void record_batch_norm(const Tensor& y, const Tensor& x, const BatchNormState& state,
                              const Tensor& mean, const Tensor& variance, double epsilon,
                              Activation activation, BatchNormBackward backward) {
  y.record({x, state.gamma, state.beta},
           [=, gamma = state.gamma, beta = state.beta](const Tensor& dy) {
             Tensor dx = dy.sole_owner() ? dy : Tensor::empty(x.shape(), x.device());
             Tensor dgamma = Tensor::empty(gamma.shape(), x.device());
             Tensor dbeta = Tensor::empty(gamma.shape(), x.device());
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
  kernels::Device& device = detail::device_of_batch_norm("batch_norm_training", x, state);
  const auto& k = device.table();
  Tensor mean = Tensor::empty(state.mean.shape(), device);
  Tensor variance = Tensor::empty(state.mean.shape(), device);
  k.batch_norm_statistics(mean.data(), variance.data(), x.data(), shape);
  if (recording() != Recording::again)
    detail::move_statistics(state, mean, variance, momentum, unbiased, shape.rows);
  Tensor y = Tensor::empty(x.shape(), device);
  k.batch_norm(y.data(), x.data(), mean.data(), variance.data(), state.gamma.data(),
               state.beta.data(), epsilon, activation, shape);
  detail::record_batch_norm(y, x, state, mean, variance, epsilon, activation,
                            k.batch_norm_backward);
  return y;
}

// Normalises by the running statistics. Saves x.
inline Tensor batch_norm_frozen(const Tensor& x, const BatchNormState& state, double epsilon,
                                Activation activation) {
  detail::require_batch_norm(x, state, "batch_norm_frozen");
  kernels::Device& device = detail::device_of_batch_norm("batch_norm_frozen", x, state);
  const auto& k = device.table();
  Tensor y = Tensor::empty(x.shape(), device);
  k.batch_norm(y.data(), x.data(), state.mean.data(), state.variance.data(), state.gamma.data(),
               state.beta.data(), epsilon, activation, rows_of(x, "batch_norm_frozen"));
  detail::record_batch_norm(y, x, state, state.mean, state.variance, epsilon, activation,
                            k.batch_norm_frozen_backward);
  return y;
}

}  // namespace maskwatch::nn
