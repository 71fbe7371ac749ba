// Reference convolutions with the batch norms around them: the operations one after the other.
#pragma once

#include <vector>

#include "kernels/ref/batch_norm.h"
#include "kernels/ref/conv.h"
#include "kernels/ref/gemm.h"

namespace maskwatch::kernels::ref {

template <typename T>
void batch_norm_parameter_gradients(T* dgamma, T* dbeta, const T* dy, const T* x,
                                    BatchNorm<T> layer, RowShape s) {
  const std::vector<T> dz = before_activation(dy, x, layer.mean, layer.variance, layer.gamma,
                                              layer.beta, layer.epsilon, layer.activation, s);
  ref::sum_parameter_gradients(dgamma, dbeta, dz.data(), x, layer.mean, layer.variance,
                               layer.epsilon, s);
}

// x[rows, channels] through `before`.
template <typename T>
std::vector<T> through(const BatchNorm<T>* before, const T* x, RowShape s) {
  std::vector<T> y(x, x + s.rows * s.channels);
  if (before)
    ref::batch_norm(y.data(), x, before->mean, before->variance, before->gamma, before->beta,
                    before->epsilon, before->activation, s);
  return y;
}

// The gradient of z.
template <typename T>
std::vector<T> gradient_of_z(const BatchNormGradient<T>& g, RowShape s) {
  const BatchNorm<T>& layer = g.layer;
  std::vector<T> dz = before_activation(g.dy, g.z, layer.mean, layer.variance, layer.gamma,
                                        layer.beta, layer.epsilon, layer.activation, s);
  const T rows = static_cast<T>(s.rows);
  for (std::int64_t i = 0; i < s.rows * s.channels; ++i) {
    const std::int64_t c = i % s.channels;
    const T inverse = T(1) / std::sqrt(layer.variance[c] + T(layer.epsilon));
    const T normalised = (g.z[i] - layer.mean[c]) * inverse;
    const T statistics = layer.fixed ? T(0) : (g.dbeta[c] + normalised * g.dgamma[c]) / rows;
    dz[i] = layer.gamma[c] * inverse * (dz[i] - statistics);
  }
  return dz;
}

template <typename T>
void pointwise_batch_norm(T* z, T* mean, T* variance, const T* x, const BatchNorm<T>* before,
                          const T* w, GemmShape s) {
  ref::gemm(z, through(before, x, {s.m, s.k}).data(), w, s);
  if (mean) ref::batch_norm_statistics(mean, variance, z, {s.m, s.n});
}

template <typename T>
void depthwise3x3_batch_norm(T* z, T* mean, T* variance, const T* x, const BatchNorm<T>* before,
                             const T* w, ConvShape s) {
  const RowShape in = {s.batch * s.in_height * s.in_width, s.in_channels};
  ref::depthwise3x3(z, through(before, x, in).data(), w, static_cast<const T*>(nullptr),
                    Activation::none, s);
  if (mean)
    ref::batch_norm_statistics(mean, variance, z,
                               {s.batch * s.out_height * s.out_width, s.out_channels});
}

template <typename T>
void pointwise_batch_norm_backward(T* dx, T* dw, T* dgamma, T* dbeta, BatchNormGradient<T> gradient,
                                   const T* x, const BatchNorm<T>* before, const T* w,
                                   const T* residual, GemmShape s) {
  const std::vector<T> dz = gradient_of_z(gradient, {s.m, s.n});
  ref::gemm_tn(dw, through(before, x, {s.m, s.k}).data(), dz.data(), {s.k, s.n, s.m});
  if (!dx) return;
  ref::gemm_nt(dx, dz.data(), w, {s.m, s.k, s.n});
  if (residual)
    for (std::int64_t i = 0; i < s.m * s.k; ++i) dx[i] += residual[i];
  if (before) ref::batch_norm_parameter_gradients(dgamma, dbeta, dx, x, *before, {s.m, s.k});
}

template <typename T>
void depthwise3x3_batch_norm_backward(T* dx, T* dw, T* dgamma, T* dbeta,
                                      BatchNormGradient<T> gradient, const T* x,
                                      const BatchNorm<T>* before, const T* w, ConvShape s) {
  const RowShape in = {s.batch * s.in_height * s.in_width, s.in_channels};
  const std::vector<T> dz =
      gradient_of_z(gradient, {s.batch * s.out_height * s.out_width, s.out_channels});
  ref::depthwise3x3_backward_weight(dw, dz.data(), through(before, x, in).data(), s);
  if (!dx) return;
  ref::depthwise3x3_backward_input(dx, dz.data(), w, s);
  if (before) ref::batch_norm_parameter_gradients(dgamma, dbeta, dx, x, *before, in);
}

}  // namespace maskwatch::kernels::ref
