// A batch norm and its gradient at one number, for the kernels of batch norms and for those that
// take one in.
#pragma once

#include "cuda/vectors.h"
#include "kernels/scalar.h"
#include "kernels/shapes.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// What a thread keeps of a batch norm for its channels.
template <int width>
struct NormOf {
  Vector<width> mean, inverse, gamma, beta;
  kernels::Activation activation;

  NormOf() = default;
  __device__ __forceinline__ NormOf(const kernels::BatchNorm<float>& l, std::int64_t c)
      : mean(load<width>(l.mean + c)),
        gamma(load<width>(l.gamma + c)),
        beta(load<width>(l.beta + c)),
        activation(l.activation) {
    const Vector<width> variance = load<width>(l.variance + c);
#pragma unroll
    for (int j = 0; j < width; ++j)
      inverse.at[j] = 1.0f / sqrtf(variance.at[j] + static_cast<float>(l.epsilon));
  }

  __device__ __forceinline__ float normalised(float x, int j) const {
    return (x - mean.at[j]) * inverse.at[j];
  }
  // What enters the activation.
  __device__ __forceinline__ float linear(float x, int j) const {
    return gamma.at[j] * normalised(x, j) + beta.at[j];
  }
  __device__ __forceinline__ Vector<width> operator()(Vector<width> x) const {
#pragma unroll
    for (int j = 0; j < width; ++j)
      x.at[j] = kernels::scalar::activate(linear(x.at[j], j), activation);
    return x;
  }
  // dy through the activation, for the x that made it.
  __device__ __forceinline__ float through_activation(float dy, float x, int j) const {
    return kernels::scalar::activation_passes(linear(x, j), activation) ? dy : 0.0f;
  }
};

// What a thread keeps to find the gradient of z from that of what its batch norm makes of it.
template <int width>
struct GradientOf {
  NormOf<width> norm;
  Vector<width> dgamma, dbeta;  // over rows; 0 where the statistics are fixed

  __device__ __forceinline__ GradientOf(const kernels::BatchNormGradient<float>& g, std::int64_t c,
                                        float rows)
      : norm(g.layer, c), dgamma{}, dbeta{} {
    if (g.layer.fixed) return;
    dgamma = load<width>(g.dgamma + c);
    dbeta = load<width>(g.dbeta + c);
#pragma unroll
    for (int j = 0; j < width; ++j) {
      dgamma.at[j] /= rows;
      dbeta.at[j] /= rows;
    }
  }

  __device__ __forceinline__ Vector<width> operator()(const Vector<width>& dy,
                                                      const Vector<width>& z) const {
    Vector<width> dz;
#pragma unroll
    for (int j = 0; j < width; ++j) {
      const float through = norm.through_activation(dy.at[j], z.at[j], j);
      const float statistics = dbeta.at[j] + norm.normalised(z.at[j], j) * dgamma.at[j];
      dz.at[j] = norm.gamma.at[j] * norm.inverse.at[j] * (through - statistics);
    }
    return dz;
  }
};

// Whether a layer's arrays can be loaded in whole vectors.
inline bool aligned(const kernels::BatchNorm<float>& l) {
  return aligned(l.mean, l.variance, l.gamma, l.beta);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
