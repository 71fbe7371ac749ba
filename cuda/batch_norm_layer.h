// A batch norm as products and convolutions apply it on the way: what its arrays amount to for a
// channel is worked out once for each operation, by a kernel of its own, and lies in a workspace.
#pragma once

#include "cuda/float4.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// Arrays of a layer's factors are this long: whole vectors, zeros behind the channels.
constexpr int padded_channels(int channels) { return (channels + 3) / 4 * 4; }

// y = activation((x - mean) · scale + beta)
struct Normaliser {
  struct Channels {
    float4 mean, scale, beta;
  };
  static constexpr int kArrays = 4;

  __device__ Channels channels(int first) const {
    const float* at = factors + first;
    return {load4(at), load4(at + stride), load4(at + 2 * stride)};
  }
  // 1 / sqrt(variance + epsilon)
  __device__ float4 inverse(int first) const { return load4(factors + first + 3 * stride); }

  // Before the activation.
  __device__ static float4 normalise(float4 x, const Channels& c) {
    return make_float4(
        (x.x - c.mean.x) * c.scale.x + c.beta.x, (x.y - c.mean.y) * c.scale.y + c.beta.y,
        (x.z - c.mean.z) * c.scale.z + c.beta.z, (x.w - c.mean.w) * c.scale.w + c.beta.w);
  }
  __device__ float4 run(float4 x, const Channels& c) const {
    return activate4(normalise(x, c), activation);
  }
  // dy where the activation lets it through.
  __device__ float4 through_activation(float4 dy, float4 x, const Channels& c) const {
    const float4 y = normalise(x, c);
    const auto passed = [&](float gradient, float value) {
      return kernels::scalar::activation_passes(value, activation) ? gradient : 0.0f;
    };
    return make_float4(passed(dy.x, y.x), passed(dy.y, y.y), passed(dy.z, y.z), passed(dy.w, y.w));
  }

  const float* factors;  // [kArrays][stride]: mean, scale, beta, inverse
  int stride;
  Activation activation;
};

// dz = scale · dy' - (constant + (z - mean) · slope), dy' = dy where the activation lets it
// through. constant and slope are the gradient through the statistics; 0 where these are fixed.
struct Differentiator {
  struct Channels {
    Normaliser::Channels layer;
    float4 constant, slope;
  };
  static constexpr int kArrays = Normaliser::kArrays + 2;

  __device__ Channels channels(int first) const {
    const float* at = layer.factors + first + Normaliser::kArrays * layer.stride;
    return {layer.channels(first), load4(at), load4(at + layer.stride)};
  }
  __device__ float4 run(float4 dy, float4 z, const Channels& c) const {
    const float4 passed = layer.through_activation(dy, z, c.layer);
    const auto one = [](float gradient, float value, float mean, float scale, float constant,
                        float slope) {
      return scale * gradient - (constant + (value - mean) * slope);
    };
    return make_float4(
        one(passed.x, z.x, c.layer.mean.x, c.layer.scale.x, c.constant.x, c.slope.x),
        one(passed.y, z.y, c.layer.mean.y, c.layer.scale.y, c.constant.y, c.slope.y),
        one(passed.z, z.z, c.layer.mean.z, c.layer.scale.z, c.constant.z, c.slope.z),
        one(passed.w, z.w, c.layer.mean.w, c.layer.scale.w, c.constant.w, c.slope.w));
  }

  Normaliser layer;
};

// Queue the kernel that works the factors out, into `factors` of kArrays · padded_channels floats.
Normaliser normaliser(const BatchNorm<float>& layer, int channels, float* factors);
Differentiator differentiator(const BatchNormGradient<float>& gradient, std::int64_t rows,
                              int channels, float* factors);

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
