// What each operation of quantized.def demands of its caller, as kernels/checks.h says of those in
// float: assertions before any memory is touched, where a build has assertions.
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/checks.h"
#include "kernels/quantized.h"

namespace maskwatch::kernels::checks {

inline void codes([[maybe_unused]] const Quantization& q) {
  assert(q.zero >= 0 && q.zero <= 255 && "the zero point is not a code");
}

inline void steps([[maybe_unused]] std::int64_t count) {
  assert(count <= kMostQuantizedSteps && "a sum that may overflow");
}

// layer.weight[steps,out] of a layer that makes codes.
inline void makes_codes([[maybe_unused]] const QuantizedLayer& layer,
                        [[maybe_unused]] std::int64_t count, [[maybe_unused]] std::int64_t out) {
#ifndef NDEBUG
  for (std::int64_t c = 0; c < out; ++c) {
    double most = std::abs(static_cast<double>(layer.bias[c]));
    for (std::int64_t i = 0; i < count; ++i) most += 255 * std::abs(layer.weight[i * out + c]);
    assert(layer.factor[c] * most <= kMostUnrounded && "a code that may not be an integer");
  }
#endif
}

inline void pack_quantized_pointwise(std::byte* packed, QuantizedLayer layer, std::int64_t in,
                                     std::int64_t out) {
  sizes({in, out});
  steps(in);
  apart({{packed, packed_quantized_pointwise_size(in, out)}},
        {{layer.weight, in * out}, {layer.bias, out}, {layer.factor, out}});
}

inline void quantized_pointwise(float* y, const float* x, const std::byte* packed,
                                Quantization input, const float* residual, Activation,
                                GemmShape s) {
  shape(s);
  codes(input);
  assert(!s.accumulate && "it overwrites its result");
  apart({{y, s.m * s.n}}, {{x, s.m * s.k}, {packed, s.k * s.n}, optional(residual, s.m * s.n)});
}

inline void quantized_pointwise_average_pool(float* y, const float* x, const std::byte* packed,
                                             Quantization input, Activation, std::int64_t positions,
                                             GemmShape s) {
  shape(s);
  codes(input);
  assert(positions >= 1 && s.m % positions == 0 && "rows are not whole images");
  apart({{y, s.m / positions * s.n}}, {{x, s.m * s.k}, {packed, s.k * s.n}});
}

inline void pack_quantized_inverted_residual(std::byte* packed, QuantizedBlock block,
                                             InvertedResidualShape s) {
  shape(s);
  assert(s.activation != Activation::none && "codes between the layers begin at 0");
  steps(s.expand_steps());
  steps(s.expanded_channels);
  const std::int64_t expanded = s.expanded_channels;
  apart({{packed, packed_quantized_inverted_residual_size(s)}},
        {optional(block.expand.weight, s.expand_steps() * expanded),
         {block.depthwise.weight, 9 * expanded},
         {block.depthwise.bias, expanded},
         {block.depthwise.factor, expanded},
         {block.project.weight, expanded * s.out_channels},
         {block.project.bias, s.out_channels},
         {block.project.factor, s.out_channels}});
  if (s.expand) makes_codes(block.expand, s.expand_steps(), expanded);
  makes_codes(block.depthwise, 9, expanded);
}

inline void quantized_inverted_residual(QuantizedOutput y, QuantizedInput x,
                                        const std::byte* packed, InvertedResidualShape s) {
  shape(s);
  codes(x.quantization);
  codes(y.quantization);
  assert(!(s.residual && x.codes) && "a residual of codes");
  const std::int64_t out = s.batch * s.out_height * s.out_width * s.out_channels;
  const std::int64_t in = s.batch * s.in_height * s.in_width * s.in_channels;
  const Operand result = y.codes ? Operand(y.codes, out) : Operand(y.values, out);
  const Operand source = x.codes ? Operand(x.codes, in) : Operand(x.values, in);
  apart({result}, {source, {packed, s.expanded_channels * s.out_channels}});
}

}  // namespace maskwatch::kernels::checks
