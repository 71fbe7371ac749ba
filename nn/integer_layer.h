// Weights of a layer as integers (kernels/quantized.h), made from those in float and the ranges of
// its activations.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/quantized.h"
#include "nn/graph.h"

namespace maskwatch::nn {

// Codes of an activation: value = scale · (code - zero).
struct ActivationCodes {
  double scale = 1;
  std::int32_t zero = 0;

  kernels::Quantization quantization() const { return {static_cast<float>(1 / scale), zero}; }
};

// 256 codes from the least to the most; 0.0 has a code of its own.
ActivationCodes codes_of(ValueRange range);

// The scale of a channel's integers, which lie in -127..127.
double weight_scale(double largest_magnitude);

struct IntegerLayer {
  std::vector<std::int8_t> weight;  // as the float weights lie; the last axis is the output channel
  std::vector<std::int32_t> bias;
  std::vector<float> factor;

  kernels::QuantizedLayer view() const { return {weight.data(), bias.data(), factor.data()}; }
};

// `result`: the codes that it makes (zero 0), or null where it makes floats. Weights and bias on
// the CPU; no bias: 0.
IntegerLayer integer_layer(const LayerWeights& layer, const ActivationCodes& input,
                           const ActivationCodes* result = nullptr);

}  // namespace maskwatch::nn
