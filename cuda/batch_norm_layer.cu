#include "cuda/batch_norm_layer.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

// dgamma, dbeta: or null. factors[kArrays][stride], as Normaliser and Differentiator read them.
__global__ void __launch_bounds__(128)
    layer_factors_kernel(float* factors, const BatchNorm<float> layer, const float* dgamma,
                         const float* dbeta, float rows, int channels, int stride) {
  const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (c >= stride) return;
  const bool inside = c < channels;
  const float inverse =
      inside ? 1.0f / std::sqrt(layer.variance[c] + static_cast<float>(layer.epsilon)) : 0.0f;
  const float scale = inside ? layer.gamma[c] * inverse : 0.0f;
  factors[c] = inside ? layer.mean[c] : 0.0f;
  factors[c + stride] = scale;
  factors[c + 2 * stride] = inside ? layer.beta[c] : 0.0f;
  factors[c + 3 * stride] = inverse;
  if (!dgamma) return;
  const bool moves = inside && !layer.fixed;
  factors[c + 4 * stride] = moves ? scale * dbeta[c] / rows : 0.0f;
  factors[c + 5 * stride] = moves ? scale * inverse * dgamma[c] / rows : 0.0f;
}

}  // namespace

Normaliser normaliser(const BatchNorm<float>& layer, int channels, float* factors) {
  const int stride = padded_channels(channels);
  launch(layer_factors_kernel, dim3((stride + 127) / 128), dim3(128), 0, factors, layer,
         static_cast<const float*>(nullptr), static_cast<const float*>(nullptr), 0.0f, channels,
         stride);
  return {factors, stride, layer.activation};
}

Differentiator differentiator(const BatchNormGradient<float>& gradient, std::int64_t rows,
                              int channels, float* factors) {
  const int stride = padded_channels(channels);
  // Where statistics are fixed the caller need not have the sums: anything but null serves.
  const float* dgamma = gradient.layer.fixed ? gradient.layer.gamma : gradient.dgamma;
  launch(layer_factors_kernel, dim3((stride + 127) / 128), dim3(128), 0, factors, gradient.layer,
         dgamma, gradient.dbeta, static_cast<float>(rows), channels, stride);
  return {{factors, stride, gradient.layer.activation}};
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
