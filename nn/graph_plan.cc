#include "nn/graph_plan.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace nn {
namespace {

using kernels::Activation;
using nlohmann::json;

constexpr std::size_t kMostLayers = 4096;
constexpr int kMostStride = 64;
// Numbers of all values of one picture together; the largest published detector needs 4e7.
constexpr std::int64_t kMostNumbers = std::int64_t{1} << 27;

// One entry of the list, each part asked for by name. Faults are std::invalid_argument.
class Layer {
 public:
  explicit Layer(const json& entry) : entry_(entry) {
    if (!entry.is_object()) throw std::invalid_argument("is no object");
  }

  std::string text(const char* key) const {
    const json& value = part(key);
    if (!value.is_string()) throw std::invalid_argument(fmt::format("{} is no string", key));
    return value.get<std::string>();
  }

  int number(const char* key, int least, int most) const {
    return number_of(part(key), key, least, most);
  }

  std::vector<int> numbers(const char* key, std::size_t count, int least, int most) const {
    const json& list = part(key);
    if (!list.is_array() || list.size() != count)
      throw std::invalid_argument(fmt::format("{} is no list of {}", key, count));
    std::vector<int> numbers;
    for (const json& value : list) numbers.push_back(number_of(value, key, least, most));
    return numbers;
  }

  std::vector<std::string> inputs() const {
    const json& list = part("inputs");
    if (!list.is_array() || list.empty() || list.size() > kMostLayers)
      throw std::invalid_argument("inputs is no list of names");
    std::vector<std::string> names;
    for (const json& name : list) {
      if (!name.is_string()) throw std::invalid_argument("inputs is no list of names");
      names.push_back(name.get<std::string>());
    }
    return names;
  }

  Activation activation() const {
    if (!entry_.contains("activation")) return Activation::none;
    const std::string name = text("activation");
    if (name == "none") return Activation::none;
    if (name == "relu") return Activation::relu;
    if (name == "relu6") return Activation::relu6;
    throw std::invalid_argument("the activation " + name + " is unknown");
  }

 private:
  const json& part(const char* key) const {
    const auto found = entry_.find(key);
    if (found == entry_.end()) throw std::invalid_argument(fmt::format("{} is missing", key));
    return *found;
  }

  static int number_of(const json& value, const char* key, int least, int most) {
    if (value.is_number_integer()) {
      const bool huge = value.is_number_unsigned() && value.get<std::uint64_t>() > 0x7fffffffu;
      const auto number = huge ? std::int64_t{most} + 1 : value.get<std::int64_t>();
      if (number >= least && number <= most) return static_cast<int>(number);
    }
    throw std::invalid_argument(fmt::format("{} is no number from {} to {}", key, least, most));
  }

  const json& entry_;
};

// Lowers the layers of one file, one after the other.
class GraphBuilder {
 public:
  GraphBuilder(const Safetensors& contents, PlanBuilder& builder)
      : contents_(contents), builder_(builder) {
    values_["input"] = builder.input();
  }

  void add(const Layer& layer) {
    const Value result = lower(layer);
    const PictureShape& shape = builder_.shape(result);
    numbers_ += shape.count();
    if (numbers_ > kMostNumbers)
      throw std::invalid_argument("the values of the network take too much memory");
    if (!values_.emplace(layer.text("output"), result).second)
      throw std::invalid_argument("an earlier layer has the same output");
  }

  Value value(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end())
      throw std::invalid_argument("no earlier layer makes its input " + name);
    return found->second;
  }

  bool has(const std::string& name) const { return values_.contains(name); }

 private:
  Value lower(const Layer& layer) {
    const std::string op = layer.text("op");
    if (op == "conv2d" || op == "depthwise") return convolution(layer, op == "depthwise");
    if (op == "pointwise" || op == "dense")
      return builder_.pointwise(input(layer), weights(layer), layer.activation());
    if (op == "add") return sum(layer);
    if (op == "concat") return concat(layer);
    if (op == "reshape") return rows(layer);
    if (op == "softmax") return builder_.softmax(input(layer));
    if (op == "sigmoid") return builder_.sigmoid(input(layer));
    if (op == "average_pool") return builder_.global_average_pool(input(layer));
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

  FoldedWeights weights(const Layer& layer) const {
    FoldedWeights weights{tensor(layer.text("weight")), tensor(layer.text("bias"))};
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

  Value convolution(const Layer& layer, bool depthwise) {
    const FoldedWeights folded = weights(layer);
    const Shape& window = folded.weight.shape();
    const std::size_t axes = depthwise ? 3 : 4;
    if (window.size() != axes || window[0] > kMostStride || window[1] > kMostStride)
      throw std::invalid_argument("weights of shape " + to_string(window));
    const auto pad = layer.numbers("pad", 4, 0, kMostStride * kMostStride);
    const Value x = input(layer);
    const PictureShape& in = builder_.shape(x);
    kernels::ConvShape conv;
    conv.stride = layer.number("stride", 1, kMostStride);
    conv.dilation = layer.number("dilation", 1, kMostStride);
    conv.pad_top = pad[0];
    conv.pad_left = pad[1];
    conv.out_height = places(in.height, window[0], conv.stride, conv.dilation, pad[0], pad[2]);
    conv.out_width = places(in.width, window[1], conv.stride, conv.dilation, pad[1], pad[3]);
    return depthwise ? builder_.depthwise3x3(x, folded, conv, layer.activation())
                     : builder_.conv2d(x, folded, conv, layer.activation());
  }

  Value sum(const Layer& layer) {
    const std::vector<Value> terms = inputs(layer);
    Value total = terms.front();
    for (std::size_t i = 1; i < terms.size(); ++i) total = builder_.add(total, terms[i]);
    return builder_.activation(total, layer.activation());
  }

  Value concat(const Layer& layer) {
    const std::vector<Value> parts = inputs(layer);
    for (const Value part : parts)
      if (builder_.shape(part).count() > kMostNumbers / static_cast<std::int64_t>(parts.size()))
        throw std::invalid_argument("joins more than fits in memory");
    const int axis = layer.number("axis", 1, 3);
    if (axis == 2) throw std::invalid_argument("joins along axis 2; known are 1 and 3");
    return axis == 1 ? builder_.concat_rows(parts) : builder_.concat_channels(parts);
  }

  // shape [P, C], where one may be -1: what is left.
  Value rows(const Layer& layer) {
    const auto shape = layer.numbers("shape", 2, -1, 1 << 24);
    const Value x = input(layer);
    const std::int64_t count = builder_.shape(x).count();
    std::int64_t rows = shape[0], channels = shape[1];
    if (rows == -1 && channels > 0) rows = count / channels;
    if (channels == -1 && rows > 0) channels = count / rows;
    if (rows < 1 || channels < 1 || rows * channels != count)
      throw std::invalid_argument(fmt::format("{} numbers as [{}, {}]", count, shape[0], shape[1]));
    return builder_.reshape(x, {rows, 1, channels});
  }

  const Safetensors& contents_;
  PlanBuilder& builder_;
  std::map<std::string, Value> values_;
  std::int64_t numbers_ = 0;
};

json layer_list(const Safetensors& contents, const std::string& path) {
  const auto graph = contents.metadata.find("graph");
  if (graph == contents.metadata.end())
    throw std::runtime_error(path +
                             ": no network that data/convert_weights.py made: metadata "
                             "graph is missing");
  json layers = json::parse(graph->second, nullptr, false);
  if (!layers.is_array() || layers.empty() || layers.size() > kMostLayers)
    throw std::runtime_error(path + ": metadata graph is no list of layers");
  return layers;
}

std::string layer_name(const json& entry, std::size_t index) {
  if (entry.is_object() && entry.contains("output") && entry["output"].is_string())
    return entry["output"].get<std::string>();
  return fmt::format("number {}", index);
}

}  // namespace

Plan compile_graph(const Safetensors& contents, const std::string& path, PictureShape input,
                   const std::vector<std::string>& outputs, std::int64_t capacity) {
  const json layers = layer_list(contents, path);
  return Plan(input, capacity, [&](PlanBuilder& builder) {
    GraphBuilder graph(contents, builder);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      try {
        graph.add(Layer(layers[i]));
      } catch (const std::invalid_argument& fault) {
        throw std::runtime_error(
            fmt::format("{}: layer {}: {}", path, layer_name(layers[i], i), fault.what()));
      }
    }
    for (const std::string& name : outputs) {
      if (!graph.has(name) || name == "input")
        throw std::runtime_error(path + ": no layer makes the output " + name);
      try {
        builder.output(graph.value(name));
      } catch (const std::invalid_argument& fault) {
        throw std::runtime_error(path + ": output " + name + ": " + fault.what());
      }
    }
  });
}

}  // namespace nn
