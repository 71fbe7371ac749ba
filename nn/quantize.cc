#include "nn/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "base/json.h"
#include "base/json_fields.h"
#include "kernels/quantized.h"
#include "nn/fuse.h"
#include "nn/ops/check.h"
#include "nn/plan.h"
#include "nn/value_histogram.h"

namespace maskwatch::nn {
namespace {

using kernels::Activation;

// What an int8 layer needs to know of its values; -1: it has no such value.
struct Observed {
  int input = -1, expanded = -1, filtered = -1;
};

// The graph with its blocks taken apart, so that what lies inside them is a value too.
struct TakenApart {
  explicit TakenApart(const Graph& fused) : graph(fused.shape(fused.input())) {
    std::vector<Value> stands_for{graph.input()};
    for (std::size_t i = 1; i < fused.nodes().size(); ++i) {
      const Node& node = fused.nodes()[i];
      std::vector<Value> inputs;
      for (const Value input : node.inputs)
        inputs.push_back(stands_for[static_cast<std::size_t>(input.index)]);
      const auto* block = std::get_if<op::InvertedResidual>(&node.operation);
      Observed observed{inputs.front().index, -1, -1};
      stands_for.push_back(block ? add_block(*block, inputs.front(), observed)
                                 : graph.add(node.operation, inputs));
      if (can_quantize(fused, node)) layers.push_back({name_of(node.operation), observed});
    }
    for (const auto& [name, observed] : layers)
      for (const int value : {observed.input, observed.expanded, observed.filtered}) observe(value);
  }

  Graph graph;
  std::vector<std::pair<std::string, Observed>> layers;
  std::vector<int> values;  // values[i] is output i of the graph

 private:
  Value add_block(const op::InvertedResidual& block, Value x, Observed& observed) {
    Value y = x;
    if (const Tensor& expand = block.expand.weight; expand.defined()) {
      y = expand.shape().size() == 4
              ? graph.add(op::Conv2d{block.expand, block.expand_conv, block.activation}, {y})
              : graph.add(op::Pointwise{block.expand, block.activation}, {y});
      observed.expanded = y.index;
    }
    y = graph.add(op::Depthwise3x3{block.depthwise, block.depthwise_conv, block.activation}, {y});
    observed.filtered = y.index;
    std::vector<Value> inputs{y};
    if (block.residual) inputs.push_back(x);
    return graph.add(op::Pointwise{block.project, block.out_activation}, inputs);
  }

  // The input is no output of a graph.
  void observe(int value) {
    if (value <= 0 || std::find(values.begin(), values.end(), value) != values.end()) return;
    graph.output({value});
    values.push_back(value);
  }
};

const std::string kBlock = name_of(op::InvertedResidual{});

ValueRange range_of(const ValueHistogram& histogram, RangeMethod method) {
  constexpr double kLeftOut = 1e-4;
  if (method == RangeMethod::percentile) return histogram.without(kLeftOut);
  return method == RangeMethod::error ? histogram.of_least_error() : histogram.extremes();
}

// The bias behind all else that a layer which takes part computes.
LayerWeights& last_weights(Operation& operation) {
  if (auto* block = std::get_if<op::InvertedResidual>(&operation)) return block->project;
  if (auto* pointwise = std::get_if<op::Pointwise>(&operation)) return pointwise->weights;
  return std::get<op::PointwiseAveragePool>(operation).weights;
}

void correct(Operation& operation, const std::vector<float>& correction) {
  LayerWeights& weights = last_weights(operation);
  const std::int64_t channels = weights.weight.dim(-1);
  if (std::ssize(correction) != channels)
    reject("quantized", fmt::format("{} corrections of {} biases", correction.size(), channels));
  Tensor bias = Tensor::zeros({channels});
  for (std::int64_t i = 0; i < channels; ++i)
    bias.data()[i] = correction[static_cast<std::size_t>(i)] +
                     (weights.bias.defined() ? weights.bias.data()[i] : 0.0f);
  weights.bias = bias;
}

// The mean of each channel over pictures and positions, of each output of a graph.
using ChannelMeans = std::vector<std::vector<double>>;

ChannelMeans channel_means(const Graph& graph, std::int64_t count,
                           const std::function<void(std::int64_t i, float* pixels)>& load) {
  Plan plan(graph, 1);
  std::vector<float> pixels(static_cast<std::size_t>(plan.input_shape().count()));
  ChannelMeans means(graph.outputs().size());
  for (std::int64_t i = 0; i < count; ++i) {
    load(i, pixels.data());
    plan.run(pixels.data(), 1);
    for (std::size_t output = 0; output < means.size(); ++output) {
      const ActivationShape& shape = plan.output_shape(static_cast<int>(output));
      const float* values = plan.output(static_cast<int>(output));
      const auto channels = static_cast<std::size_t>(shape.channels);
      means[output].resize(channels);
      const double share =
          static_cast<double>(shape.channels) / static_cast<double>(shape.count() * count);
      for (std::int64_t at = 0; at < shape.count(); ++at)
        means[output][static_cast<std::size_t>(at) % channels] +=
            share * static_cast<double>(values[at]);
    }
  }
  return means;
}

// The graph up to a node, whose value is the output.
Graph up_to(const Graph& graph, int last) {
  Graph part(graph.shape(graph.input()));
  for (int i = 1; i <= last; ++i) {
    const Node& node = graph.nodes()[static_cast<std::size_t>(i)];
    part.add(node.operation, node.inputs);
  }
  part.output(Value{last});
  return part;
}

// A number as the metadata hold it: of few digits.
float short_number(double value) { return std::stof(fmt::format("{:.4g}", value)); }

}  // namespace

bool can_quantize(const Graph& graph, const Node& node) {
  const std::int64_t in = node.inputs.empty() ? 0 : graph.shape(node.inputs.front()).channels;
  if (std::holds_alternative<op::Pointwise>(node.operation) ||
      std::holds_alternative<op::PointwiseAveragePool>(node.operation))
    return in <= kernels::kMostQuantizedSteps;
  const auto* block = std::get_if<op::InvertedResidual>(&node.operation);
  if (!block || block->activation == Activation::none) return false;
  const Tensor& expand = block->expand.weight;
  const std::int64_t steps = expand.defined() ? expand.count() / expand.dim(-1) : 0;
  return std::max(steps, block->project.weight.dim(0)) <= kernels::kMostQuantizedSteps;
}

Graph quantized(const Graph& fused, const Quantization& ranges) {
  Graph graph(fused.shape(fused.input()));
  std::size_t layer = 0;
  for (std::size_t i = 1; i < fused.nodes().size(); ++i) {
    const Node& node = fused.nodes()[i];
    Operation operation = node.operation;
    if (can_quantize(fused, node)) {
      const std::string name = name_of(operation);
      if (layer >= ranges.size() || ranges[layer].layer != name)
        reject("quantized", fmt::format("layer {} is {}; its ranges are of {}", layer, name,
                                        layer < ranges.size() ? ranges[layer].layer : "none"));
      const LayerRanges& r = ranges[layer++];
      if (auto* pointwise = std::get_if<op::Pointwise>(&operation))
        pointwise->input_range = r.input;
      if (auto* pool = std::get_if<op::PointwiseAveragePool>(&operation))
        pool->input_range = r.input;
      if (auto* block = std::get_if<op::InvertedResidual>(&operation))
        block->ranges = {r.input, r.most_expanded, r.most_filtered};
      if (!r.correction.empty()) correct(operation, r.correction);
    }
    graph.add(std::move(operation), node.inputs);
  }
  if (layer != ranges.size())
    reject("quantized",
           fmt::format("ranges of {} layers, of which there are {}", ranges.size(), layer));
  for (const Value output : fused.outputs()) graph.output(output);
  return graph;
}

Graph fuse_quantized(const Graph& graph, const Quantization& ranges) {
  if (ranges.empty()) return fuse(graph);
  try {
    return quantized(fuse(graph), ranges);
  } catch (const std::invalid_argument& fault) {
    throw std::runtime_error(fault.what());
  }
}

Quantization calibrate(const Graph& fused, std::int64_t count,
                       const std::function<void(std::int64_t i, float* pixels)>& load,
                       RangeMethod method, const std::function<void(std::int64_t)>& done) {
  if (count < 1) reject("calibrate", "no pictures");
  const TakenApart apart(fused);
  Plan plan(apart.graph, 1);
  std::vector<float> pixels(static_cast<std::size_t>(plan.input_shape().count()));
  std::map<int, ValueHistogram> histograms;
  for (const bool counts : {false, true})
    for (std::int64_t i = 0; i < count; ++i) {
      load(i, pixels.data());
      plan.run(pixels.data(), 1);
      const auto add = [&](int value, const float* values, std::int64_t size) {
        histograms[value].add({values, static_cast<std::size_t>(size)}, counts);
      };
      add(0, pixels.data(), plan.input_shape().count());
      for (int output = 0; output < std::ssize(apart.values); ++output)
        add(apart.values[static_cast<std::size_t>(output)], plan.output(output),
            plan.output_shape(output).count());
      if (done) done(counts ? count + i + 1 : i + 1);
    }
  Quantization ranges;
  for (const auto& [name, observed] : apart.layers) {
    // The pixels of a picture fill their range, and are rounded already.
    const RangeMethod of_input = observed.input == 0 ? RangeMethod::extremes : method;
    LayerRanges r{name, range_of(histograms[observed.input], of_input)};
    if (observed.expanded >= 0)
      r.most_expanded = range_of(histograms[observed.expanded], method).most;
    if (observed.filtered >= 0)
      r.most_filtered = range_of(histograms[observed.filtered], method).most;
    ranges.push_back(r);
  }
  return ranges;
}

Quantization correct_biases(const Graph& fused, Quantization ranges, std::int64_t count,
                            const std::function<void(std::int64_t i, float* pixels)>& load,
                            const std::function<void(std::int64_t)>& done) {
  if (count < 1) reject("correct_biases", "no pictures");
  const std::int64_t used = std::min<std::int64_t>(count, kCorrectionPictures);
  const auto load_one = [&](std::int64_t i, float* pixels) { load(i * count / used, pixels); };
  Graph layers(fused.shape(fused.input()));
  std::vector<int> places;
  for (int i = 1; i < std::ssize(fused.nodes()); ++i) {
    const Node& node = fused.nodes()[static_cast<std::size_t>(i)];
    layers.add(node.operation, node.inputs);
    if (can_quantize(fused, node)) places.push_back(i);
  }
  for (const int place : places) layers.output(Value{place});
  const ChannelMeans expected = channel_means(layers, used, load_one);
  if (done) done(1);
  for (LayerRanges& r : ranges) r.correction.clear();
  for (std::size_t layer = 0; layer < places.size(); ++layer) {
    const Graph graph = up_to(quantized(fused, ranges), places[layer]);
    const std::vector<double> found = channel_means(graph, used, load_one).front();
    std::vector<float>& correction = ranges.at(layer).correction;
    for (std::size_t i = 0; i < found.size(); ++i)
      correction.push_back(short_number(expected[layer][i] - found[i]));
    if (done) done(static_cast<std::int64_t>(layer) + 2);
  }
  return ranges;
}

std::string text_of_quantization(const Quantization& ranges) {
  Json layers = Json::list();
  for (const LayerRanges& r : ranges) {
    Json layer =
        Json::object({{"layer", r.layer}, {"input", Json::list({r.input.least, r.input.most})}});
    if (r.layer == kBlock) {
      layer["expanded"] = r.most_expanded;
      layer["filtered"] = r.most_filtered;
    }
    if (!r.correction.empty()) {
      layer["bias"] = Json::list();
      for (const float value : r.correction)
        layer["bias"].push_back(std::stod(fmt::format("{:.4g}", value)));
    }
    layers.push_back(layer);
  }
  return layers.dump();
}

Quantization read_quantization(const std::string& text, const std::string& file) {
  constexpr std::size_t kMostLayers = 16384;
  const auto layers = JsonFields::parse(text, file + ": metadata \"quantization\"", "layers");
  if (!layers.is_list() || layers.size() > kMostLayers) layers.fail("is not a list of layers");
  Quantization ranges;
  for (const JsonFields& layer : layers.list()) {
    const auto number = [](const JsonFields& field) {
      const double value = field.number();
      if (!(std::abs(value) < 1e30)) field.fail("is out of range");
      return static_cast<float>(value);
    };
    const std::vector<JsonFields> ends = layer["input"].list();
    if (ends.size() != 2) layer["input"].fail("is not the least and the most");
    LayerRanges r{layer["layer"].text(), {number(ends[0]), number(ends[1])}};
    if (!(r.input.least <= r.input.most)) layer["input"].fail("is not the least and the most");
    if (r.layer == kBlock) {
      r.most_expanded = number(layer["expanded"]);
      r.most_filtered = number(layer["filtered"]);
    }
    if (layer.has("bias"))
      for (const JsonFields& value : layer["bias"].list()) r.correction.push_back(number(value));
    ranges.push_back(r);
  }
  return ranges;
}

Quantization quantization_in(const std::map<std::string, std::string>& metadata,
                             const std::string& file) {
  const auto found = metadata.find(kQuantizationKey);
  return found == metadata.end() ? Quantization() : read_quantization(found->second, file);
}

}  // namespace maskwatch::nn
