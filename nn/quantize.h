// Post-training quantisation to int8: which layers of a fused graph take part, the ranges of the
// values that they read, found by running pictures, and both in a model file.
//
// A layer that takes part rounds its input to codes, computes in integers and gives floats. Between
// the layers of an inverted residual block there are codes only. Weights: symmetric, a scale for
// each output channel; activations: a scale and a zero point for each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nn/graph.h"

namespace maskwatch::nn {

struct LayerRanges {
  std::string layer;  // name_of() its operation
  ValueRange input;
  float most_expanded = 0, most_filtered = 0;  // of an inverted residual block; least: 0
  // What is added to the layer's last bias, a number for each output channel; or nothing.
  std::vector<float> correction = {};
};

// One for each layer that takes part, in the order of a fused graph.
using Quantization = std::vector<LayerRanges>;

// Pointwise layers, and blocks whose activations begin at 0. The others stay in float32.
bool can_quantize(const Graph& graph, const Node& node);

// The fused graph with these ranges. std::invalid_argument names the first layer that they do not
// fit.
Graph quantized(const Graph& fused, const Quantization& ranges);

// fuse(graph), and quantized() by these ranges unless there are none. std::runtime_error for ranges
// that do not fit, as those of a damaged file.
Graph fuse_quantized(const Graph& graph, const Quantization& ranges);

enum class RangeMethod {
  extremes,    // the least and the most that occurred
  percentile,  // all but one in 10,000 on each side
  error,       // what makes the mean squared error of rounding and clamping least
};

// More pictures hardly change the ranges.
inline constexpr int kCalibrationPictures = 300;
// Biases are corrected on so many of them, spread evenly.
inline constexpr int kCorrectionPictures = 60;

// Ranges from `count` pictures: load(i, pixels) writes picture i, as Plan::run takes it, once or
// twice. done(i) follows each, of 2 · count.
Quantization calibrate(const Graph& fused, std::int64_t count,
                       const std::function<void(std::int64_t i, float* pixels)>& load,
                       RangeMethod method, const std::function<void(std::int64_t)>& done = {});

// The ranges with corrections of biases: on average over `count` pictures, or kCorrectionPictures
// of them, and all positions, each layer's channels then have the values that they have in float32
// (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
// section 4.2, with pictures; behind a ReLU nearly). load() as above, and done(i) follows each
// layer, of ranges.size() + 1.
Quantization correct_biases(const Graph& fused, Quantization ranges, std::int64_t count,
                            const std::function<void(std::int64_t i, float* pixels)>& load,
                            const std::function<void(std::int64_t)>& done = {});

// As the metadata "quantization" of a model file holds it, and back. std::runtime_error names the
// file and what is wrong.
std::string text_of_quantization(const Quantization& ranges);
Quantization read_quantization(const std::string& text, const std::string& file);

// Of a file's metadata; empty where there is none.
Quantization quantization_in(const std::map<std::string, std::string>& metadata,
                             const std::string& file);

inline constexpr const char* kQuantizationKey = "quantization";

}  // namespace maskwatch::nn
