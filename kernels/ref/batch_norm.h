// Reference batch normalisation (Ioffe & Szegedy 2015).
#pragma once

#include <cmath>
#include <vector>

#include "kernels/scalar.h"
#include "kernels/table.h"

namespace maskwatch::kernels::ref {

template <typename T>
void batch_norm_statistics(T* mean, T* variance, const T* x, RowShape s) {
  for (std::int64_t c = 0; c < s.channels; ++c) {
    T sum = 0;
    for (std::int64_t r = 0; r < s.rows; ++r) sum += x[r * s.channels + c];
    mean[c] = sum / T(s.rows);
    T squares = 0;
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const T d = x[r * s.channels + c] - mean[c];
      squares += d * d;
    }
    variance[c] = squares / T(s.rows);
  }
}

template <typename T>
void batch_norm(T* y, const T* x, const T* mean, const T* variance, const T* gamma, const T* beta,
                double epsilon, Activation activation, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const std::int64_t i = r * s.channels + c;
      const T normalised = (x[i] - mean[c]) / std::sqrt(variance[c] + T(epsilon));
      y[i] = scalar::activate(gamma[c] * normalised + beta[c], activation);
    }
}

// dz: the gradient of what enters the activation.
template <typename T>
std::vector<T> before_activation(const T* dy, const T* x, const T* mean, const T* variance,
                                 const T* gamma, const T* beta, double epsilon,
                                 Activation activation, RowShape s) {
  std::vector<T> z(s.rows * s.channels);
  batch_norm(z.data(), x, mean, variance, gamma, beta, epsilon, Activation::none, s);
  for (std::int64_t i = 0; i < s.rows * s.channels; ++i)
    z[i] = scalar::activation_passes(z[i], activation) ? dy[i] : T(0);
  return z;
}

// dbeta[c] = Σ dy, dgamma[c] = Σ dy·(x - mean)/σ
template <typename T>
void sum_parameter_gradients(T* dgamma, T* dbeta, const T* dy, const T* x, const T* mean,
                             const T* variance, double epsilon, RowShape s) {
  for (std::int64_t c = 0; c < s.channels; ++c) {
    dgamma[c] = dbeta[c] = 0;
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const std::int64_t i = r * s.channels + c;
      dbeta[c] += dy[i];
      dgamma[c] += dy[i] * (x[i] - mean[c]) / std::sqrt(variance[c] + T(epsilon));
    }
  }
}

template <typename T>
void batch_norm_backward(T* dx, T* dgamma, T* dbeta, const T* dy, const T* x, const T* mean,
                         const T* variance, const T* gamma, const T* beta, double epsilon,
                         Activation activation, RowShape s) {
  const std::vector<T> dz =
      before_activation(dy, x, mean, variance, gamma, beta, epsilon, activation, s);
  sum_parameter_gradients(dgamma, dbeta, dz.data(), x, mean, variance, epsilon, s);
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const std::int64_t i = r * s.channels + c;
      const T inverse = T(1) / std::sqrt(variance[c] + T(epsilon));
      const T normalised = (x[i] - mean[c]) * inverse;
      dx[i] = gamma[c] * inverse * (dz[i] - (dbeta[c] + normalised * dgamma[c]) / T(s.rows));
    }
}

template <typename T>
void batch_norm_frozen_backward(T* dx, T* dgamma, T* dbeta, const T* dy, const T* x, const T* mean,
                                const T* variance, const T* gamma, const T* beta, double epsilon,
                                Activation activation, RowShape s) {
  const std::vector<T> dz =
      before_activation(dy, x, mean, variance, gamma, beta, epsilon, activation, s);
  sum_parameter_gradients(dgamma, dbeta, dz.data(), x, mean, variance, epsilon, s);
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t c = 0; c < s.channels; ++c)
      dx[r * s.channels + c] =
          dz[r * s.channels + c] * gamma[c] / std::sqrt(variance[c] + T(epsilon));
}

}  // namespace maskwatch::kernels::ref
