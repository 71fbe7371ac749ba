#include "nn/graph_file.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <stdexcept>

#include "base/json_fields.h"
#include "nn/fuse.h"

namespace maskwatch::nn {
namespace {

using kernels::Activation;

constexpr std::size_t kMaxLayers = 4096;
constexpr std::size_t kMaxInputs = 16384;  // of all layers together
constexpr int kMaxStride = 64;
// Of all layers together, for one picture.
constexpr std::int64_t kMaxValues = std::int64_t{1} << 27;

// One entry of the list, each part asked for by name.
class Layer {
 public:
  explicit Layer(JsonFields entry) : entry_(std::move(entry)) {}

  std::string text(const char* key) const { return entry_[key].text(); }

  int number(const char* key, int least, int most) const {
    return static_cast<int>(entry_[key].whole_number(least, most));
  }

  std::vector<int> numbers(const char* key, std::size_t count, int least, int most) const {
    const auto list = entry_[key].list();
    if (list.size() != count) entry_[key].fail(fmt::format("is not a list of {} numbers", count));
    std::vector<int> numbers;
    for (const JsonFields& value : list)
      numbers.push_back(static_cast<int>(value.whole_number(least, most)));
    return numbers;
  }

  std::vector<std::string> inputs() const {
    std::vector<std::string> names = entry_["inputs"].texts();
    if (names.empty() || names.size() > kMaxLayers)
      entry_["inputs"].fail("must list 1 to " + std::to_string(kMaxLayers) + " names");
    return names;
  }

  Activation activation() const {
    if (!entry_.has("activation")) return Activation::none;
    const std::string name = text("activation");
    if (name == "none") return Activation::none;
    if (name == "relu") return Activation::relu;
    if (name == "relu6") return Activation::relu6;
    throw std::invalid_argument("the activation " + name + " is unknown");
  }

 private:
  JsonFields entry_;
};

// Adds the layers of one file to a graph, one after the other.
class GraphReader {
 public:
  GraphReader(const Safetensors& contents, ActivationShape input)
      : graph(input), contents_(contents) {
    values_["input"] = graph.input();
  }

  void add(const Layer& layer) {
    const std::string name = layer.text("output");
    if (values_.contains(name)) throw std::invalid_argument("an earlier layer has the same output");
    const Value result = read(layer);
    value_count_ += graph.shape(result).count();
    if (value_count_ > kMaxValues)
      throw std::invalid_argument("the values of the network take too much memory");
    values_.emplace(name, result);
  }

  Value value(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end())
      throw std::invalid_argument("no earlier layer makes its input " + name);
    return found->second;
  }

  bool has(const std::string& name) const { return values_.contains(name); }

  Graph graph;

 private:
  Value read(const Layer& layer) {
    const std::string op = layer.text("op");
    if (op == "conv2d" || op == "depthwise") return convolution(layer, op == "depthwise");
    if (op == "pointwise" || op == "dense") return pointwise(layer);
    if (op == "add") return sum(layer);
    if (op == "concat") return concat(layer);
    if (op == "reshape") return rows(layer);
    if (op == "softmax") return graph.add(op::Softmax{}, {input(layer)});
    if (op == "sigmoid") return graph.add(op::Sigmoid{}, {input(layer)});
    if (op == "average_pool") return graph.add(op::GlobalAveragePool{}, {input(layer)});
    throw std::invalid_argument("the operation " + op + " is unknown");
  }

  Value input(const Layer& layer) const {
    const auto names = layer.inputs();
    if (names.size() != 1) throw std::invalid_argument("takes one input");
    return value(names.front());
  }

  std::vector<Value> inputs(const Layer& layer) const {
    std::vector<Value> found;
    for (const std::string& name : layer.inputs()) found.push_back(value(name));
    return found;
  }

  Tensor tensor(const std::string& name) const {
    const auto found = contents_.tensors.find(name);
    if (found == contents_.tensors.end())
      throw std::invalid_argument("the tensor " + name + " is missing");
    return found->second;
  }

  LayerWeights weights(const Layer& layer) const {
    LayerWeights weights{tensor(layer.text("weight")), tensor(layer.text("bias"))};
    if (weights.weight.count() == 0 || weights.bias.shape() != Shape{weights.weight.dim(-1)})
      throw std::invalid_argument("weights " + to_string(weights.weight.shape()) + " and bias " +
                                  to_string(weights.bias.shape()) + " do not fit");
    return weights;
  }

  // Outputs along one axis; the padding is smaller than the window, so that none sees only zeros.
  static std::int64_t places(std::int64_t in, std::int64_t kernel, int stride, int dilation,
                             int before, int after) {
    const std::int64_t reach = (kernel - 1) * dilation;
    const std::int64_t room = in + before + after - reach - 1;
    if (before > reach || after > reach || room < 0)
      throw std::invalid_argument(fmt::format(
          "a window of {} with dilation {} and padding {}, {} does not fit a side of {}", kernel,
          dilation, before, after, in));
    return room / stride + 1;
  }

  static kernels::ConvShape window(const Layer& layer, const Shape& window,
                                   const ActivationShape& in) {
    if (window[0] > kMaxStride || window[1] > kMaxStride)
      throw std::invalid_argument("weights of shape " + to_string(window));
    const auto pad = layer.numbers("pad", 4, 0, kMaxStride * kMaxStride);
    kernels::ConvShape conv;
    conv.stride = layer.number("stride", 1, kMaxStride);
    conv.dilation = layer.number("dilation", 1, kMaxStride);
    conv.pad_top = pad[0];
    conv.pad_left = pad[1];
    conv.out_height = places(in.height, window[0], conv.stride, conv.dilation, pad[0], pad[2]);
    conv.out_width = places(in.width, window[1], conv.stride, conv.dilation, pad[1], pad[3]);
    return conv;
  }

  // What may throw stands before the operation: where an initialiser of an aggregate throws, gcc 12
  // ends the lifetime of what was made of it before it destroys that.
  Value pointwise(const Layer& layer) {
    const LayerWeights layer_weights = weights(layer);
    const kernels::Activation activation = layer.activation();
    const Value x = input(layer);
    return graph.add(op::Pointwise{layer_weights, activation}, {x});
  }

  Value convolution(const Layer& layer, bool depthwise) {
    const LayerWeights layer_weights = weights(layer);
    const Shape& shape = layer_weights.weight.shape();
    if (shape.size() != (depthwise ? 3u : 4u))
      throw std::invalid_argument("weights of shape " + to_string(shape));
    const Value x = input(layer);
    const kernels::ConvShape conv = window(layer, shape, graph.shape(x));
    const kernels::Activation activation = layer.activation();
    if (depthwise) return graph.add(op::Depthwise3x3{layer_weights, conv, activation}, {x});
    return graph.add(op::Conv2d{layer_weights, conv, activation}, {x});
  }

  Value sum(const Layer& layer) {
    const std::vector<Value> terms = inputs(layer);
    Value total = terms.front();
    for (std::size_t i = 1; i < terms.size(); ++i) total = graph.add(op::Add{}, {total, terms[i]});
    if (layer.activation() == Activation::none) return total;
    return graph.add(op::Activate{layer.activation()}, {total});
  }

  Value concat(const Layer& layer) {
    const std::vector<Value> parts = inputs(layer);
    for (const Value part : parts)
      if (graph.shape(part).count() > kMaxValues / static_cast<std::int64_t>(parts.size()))
        throw std::invalid_argument("joins more than fits in memory");
    const int axis = layer.number("axis", 1, 3);
    if (axis == 2) throw std::invalid_argument("joins along axis 2; known are 1 and 3");
    return axis == 1 ? graph.add(op::ConcatRows{}, parts) : graph.add(op::ConcatChannels{}, parts);
  }

  // shape [P, C], where one may be -1: what is left.
  Value rows(const Layer& layer) {
    const auto shape = layer.numbers("shape", 2, -1, 1 << 24);
    const Value x = input(layer);
    const std::int64_t count = graph.shape(x).count();
    std::int64_t rows = shape[0], channels = shape[1];
    if (rows == -1 && channels > 0) rows = count / channels;
    if (channels == -1 && rows > 0) channels = count / rows;
    if (rows < 1 || channels < 1 || rows * channels != count)
      throw std::invalid_argument(fmt::format("{} values as [{}, {}]", count, shape[0], shape[1]));
    return graph.add(op::Reshape{{rows, 1, channels}}, {x});
  }

  const Safetensors& contents_;
  std::map<std::string, Value> values_;
  std::int64_t value_count_ = 0;
};

std::vector<JsonFields> layer_list(const Safetensors& contents, const std::string& file) {
  const auto graph = contents.metadata.find("graph");
  if (graph == contents.metadata.end())
    throw std::runtime_error(file +
                             ": is not a network that data/convert_weights.py made: metadata "
                             "\"graph\" is missing");
  const auto list = JsonFields::parse(graph->second, file + ": metadata \"graph\"", "layers");
  std::vector<JsonFields> layers = list.list();
  if (layers.empty() || layers.size() > kMaxLayers)
    list.fail(fmt::format("is not a list of 1 to {}", kMaxLayers));
  std::size_t inputs = 0;
  for (const JsonFields& layer : layers) inputs += layer["inputs"].size();
  if (inputs > kMaxInputs) list.fail(fmt::format("have more than {} inputs", kMaxInputs));
  return layers;
}

}  // namespace

Graph read_graph(const Safetensors& contents, const std::string& file, ActivationShape input,
                 const std::vector<std::string>& outputs) {
  GraphReader reader(contents, input);
  for (const JsonFields& entry : layer_list(contents, file)) {
    const Layer layer(entry);
    const std::string name = layer.text("output");
    try {
      reader.add(layer);
    } catch (const std::invalid_argument& fault) {
      throw std::runtime_error(file + ": layer " + name + ": " + fault.what());
    }
  }
  for (const std::string& name : outputs) {
    if (!reader.has(name) || name == "input")
      throw std::runtime_error(file + ": no layer makes the output " + name);
    try {
      reader.graph.output(reader.value(name));
    } catch (const std::invalid_argument& fault) {
      throw std::runtime_error(file + ": output " + name + ": " + fault.what());
    }
  }
  return std::move(reader.graph);
}

Plan compile_graph(const Safetensors& contents, const std::string& file, ActivationShape input,
                   const std::vector<std::string>& outputs, std::int64_t capacity,
                   kernels::Device& device) {
  const Graph graph = read_graph(contents, file, input, outputs);
  try {
    return Plan(fuse(graph), capacity, device);
  } catch (const std::runtime_error& fault) {
    throw std::runtime_error(file + ": " + fault.what());
  }
}

}  // namespace maskwatch::nn
