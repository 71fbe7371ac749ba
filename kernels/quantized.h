// The operations in int8: a table of function pointers with one for each row of quantized.def, as
// kernels/table.h has one of float.
//
// Weights are symmetric integers of -127 to 127 with a scale for each output channel; activations
// are codes of 0 to 255 with one scale and one zero point; sums and biases have 32 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/shapes.h"

namespace maskwatch::kernels {

// code(x) = round(clamp(x · inverse_scale, -zero, 255 - zero)) + zero; of NaN 0.
struct Quantization {
  float inverse_scale = 1;
  std::int32_t zero = 0;  // the code of 0.0, in 0..255
};

// Values that an operation reads or writes: codes with `quantization`, or where `codes` is null
// floats. Of floats that are read the quantization says how they are rounded.
struct QuantizedInput {
  const float* values = nullptr;
  const std::uint8_t* codes = nullptr;
  Quantization quantization;
};
struct QuantizedOutput {
  float* values = nullptr;
  std::uint8_t* codes = nullptr;
  Quantization quantization;
};

// Weights of a layer: factor · (bias + Σ code · weight) is its result before the activation. The
// bias holds the share of the input's zero point too: -zero · Σ weight. Of a layer that makes codes
// factor · (|bias| + 255 · Σ |weight|) is at most kMostUnrounded: no sum becomes more than an
// integer holds.
struct QuantizedLayer {
  const std::int8_t* weight = nullptr;
  const std::int32_t* bias = nullptr;  // [out]
  const float* factor = nullptr;       // [out]
};

// expand[k · k · in,expanded] (unused without expansion), depthwise[3,3,expanded],
// project[expanded,out].
struct QuantizedBlock {
  QuantizedLayer expand, depthwise, project;
};

// Far from what an integer of 32 bits holds.
constexpr double kMostUnrounded = 1 << 30;

// Products in a sum that cannot overflow 32 bits, with a bias of at most 2^30.
constexpr std::int64_t kMostQuantizedSteps = 16384;

constexpr std::int64_t packed_quantized_pointwise_size(std::int64_t in, std::int64_t out) {
  return (out + 31) / 32 * 32 * (2 * ((in + 31) / 32 * 32) + 8);
}

constexpr std::int64_t packed_quantized_inverted_residual_size(const InvertedResidualShape& s) {
  const std::int64_t expanded = (s.expanded_channels + 31) / 32 * 32;
  return (s.expand ? packed_quantized_pointwise_size(s.expand_steps(), expanded) : 0) +
         44 * expanded + packed_quantized_pointwise_size(expanded, s.out_channels);
}

struct QuantizedTable {
#define QOP(name, parameters) void(*name) parameters = nullptr;
#include "kernels/quantized.def"
#undef QOP
  // What kernels/machine.h times: multiply-adds of codes and weights that stay in registers, as the
  // operations make them, `rounds` times over. Adds them to sums[192], in any order: each is -6.
  // Returns how many. Null in the reference.
  double (*multiply_adds)(std::int64_t rounds, std::int32_t* sums) = nullptr;
};

// The back end tuned for this machine, or for the target that MASKWATCH_TARGET names.
const QuantizedTable& quantized_cpu();

// Targets that this build holds and this machine runs, best first: those of kernels/table.h, which
// multiply 16-bit integers; and with dot products of bytes
//   "AVX3_VNNI"  AVX-512 with VNNI and VBMI (Ice Lake, Zen 4 and later)
//   "AVX3_DOT"   AVX-512 with VNNI (Cascade Lake)
//   "AVX2_DOT"   AVX-VNNI (Alder Lake, Zen 5 and later)
//   "NEON_DOT"   ARMv8.2's dot product
std::vector<std::string> quantized_targets();
// What MASKWATCH_TARGET may be on this machine: these and those of kernels/table.h, best first.
std::vector<std::string> target_choices();
// The target of kernels/table.h that one of these goes with: "AVX2" of "AVX2_DOT". Another name as
// it is.
std::string float_target_of(const std::string& name);
// std::invalid_argument for a name not in quantized_targets().
const QuantizedTable& quantized_cpu(const std::string& target);
// Name of the target behind quantized_cpu().
const std::string& quantized_target_name();

namespace ref {
// The plainest loops: the definition.
const QuantizedTable& quantized_table();
}  // namespace ref

}  // namespace maskwatch::kernels
