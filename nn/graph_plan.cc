#include "nn/graph_plan.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <stdexcept>

#include "base/json_fields.h"

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

// Who reads what: by name, the layers that do, and none for the caller.
class Readers {
 public:
  Readers(const std::vector<JsonFields>& layers, const std::vector<std::string>& outputs) {
    for (const std::string& name : outputs) readers_[name].push_back(std::nullopt);
    for (const JsonFields& layer : layers)
      for (const std::string& name : layer["inputs"].texts())
        readers_[name].push_back(Layer(layer));
  }

  // The one layer that reads the value, if that layer's operation is `op`; else null.
  const Layer* only(const std::string& name, const char* op) const {
    const auto found = readers_.find(name);
    if (found == readers_.end() || found->second.size() != 1) return nullptr;
    const std::optional<Layer>& layer = found->second.front();
    return layer && layer->text("op") == op ? &*layer : nullptr;
  }

 private:
  std::map<std::string, std::vector<std::optional<Layer>>> readers_;
};

// Lowers the layers of one file, one after the other. A depthwise layer that only a pointwise one
// reads waits for that and becomes one kernel with it; a full convolution that only such a
// depthwise layer reads joins them.
class GraphBuilder {
 public:
  GraphBuilder(const Safetensors& contents, PlanBuilder& builder, Readers readers)
      : contents_(contents), builder_(builder), readers_(std::move(readers)) {
    values_["input"] = builder.input();
  }

  void add(const Layer& layer) {
    const std::string name = layer.text("output");
    if (waiting_.contains(name))
      throw std::invalid_argument("an earlier layer has the same output");
    if (waits(layer)) return;
    const Value result = lower(layer);
    count(builder_.shape(result));
    if (!values_.emplace(name, result).second)
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
  void count(const PictureShape& shape) {
    value_count_ += shape.count();
    if (value_count_ > kMaxValues)
      throw std::invalid_argument("the values of the network take too much memory");
  }

  Value lower(const Layer& layer) {
    const std::string op = layer.text("op");
    if (op == "conv2d" || op == "depthwise") return convolution(layer, op == "depthwise");
    if (op == "pointwise" && waiting_.contains(input_name(layer))) return block(layer);
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

  // A part of a block that is not lowered yet.
  struct Waiting {
    Value x;
    PlanBuilder::Block block;
    PictureShape result;
  };

  // A depthwise layer as the fused kernel has it.
  static bool fits_block(const Layer& layer) {
    return layer.number("stride", 1, kMaxStride) <= 2 &&
           layer.number("dilation", 1, kMaxStride) == 1;
  }

  // Whether the layer is kept for a block; then it is in waiting_.
  bool waits(const Layer& layer) {
    const std::string op = layer.text("op"), name = layer.text("output");
    if (values_.contains(name)) return false;
    Waiting w;
    if (op == "depthwise" && readers_.only(name, "pointwise") && fits_block(layer)) {
      const auto before = waiting_.find(input_name(layer));
      if (before != waiting_.end())
        w = before->second;
      else
        w.x = input(layer), w.result = builder_.shape(w.x);
      w.block.depthwise = weights(layer);
      if (w.block.depthwise.weight.shape() != Shape{3, 3, w.result.channels}) return false;
      w.block.depthwise_conv = window(layer, w.block.depthwise.weight.shape(), w.result);
      w.block.activation = layer.activation();
      w.result.height = w.block.depthwise_conv.out_height;
      w.result.width = w.block.depthwise_conv.out_width;
    } else if (op == "conv2d" && begins_block(layer, name)) {
      w.x = input(layer);
      w.block.expand = weights(layer);
      const Shape& shape = w.block.expand.weight.shape();
      const std::int64_t channels = builder_.shape(w.x).channels;
      if (shape.size() != 4 || shape[0] != shape[1] || shape[2] != channels) return false;
      w.block.expand_conv = window(layer, shape, builder_.shape(w.x));
      w.result = {w.block.expand_conv.out_height, w.block.expand_conv.out_width, shape[3]};
    } else {
      return false;
    }
    count(w.result);
    waiting_.emplace(name, std::move(w));
    return true;
  }

  // Whether a full convolution is the first part of a block.
  bool begins_block(const Layer& layer, const std::string& name) const {
    const Layer* depthwise = readers_.only(name, "depthwise");
    if (!depthwise || layer.number("dilation", 1, kMaxStride) != 1) return false;
    const Tensor filter = tensor(depthwise->text("weight"));
    const Tensor full = tensor(layer.text("weight"));
    return readers_.only(depthwise->text("output"), "pointwise") && fits_block(*depthwise) &&
           depthwise->activation() == layer.activation() && full.shape().size() == 4 &&
           full.dim(0) > 1 && filter.shape() == Shape{3, 3, full.dim(3)};
  }

  Value block(const Layer& layer) {
    Waiting w = waiting_.at(input_name(layer));
    w.block.project = weights(layer);
    w.block.out_activation = layer.activation();
    if (w.block.project.weight.shape().size() != 2)
      throw std::invalid_argument("weights of shape " + to_string(w.block.project.weight.shape()));
    return builder_.inverted_residual(w.x, w.block);
  }

  static std::string input_name(const Layer& layer) {
    const auto names = layer.inputs();
    if (names.size() != 1) throw std::invalid_argument("takes one input");
    return names.front();
  }

  Value input(const Layer& layer) const { return value(input_name(layer)); }

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

  static kernels::ConvShape window(const Layer& layer, const Shape& window,
                                   const PictureShape& in) {
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

  Value convolution(const Layer& layer, bool depthwise) {
    const FoldedWeights folded = weights(layer);
    const Shape& shape = folded.weight.shape();
    if (shape.size() != (depthwise ? 3u : 4u))
      throw std::invalid_argument("weights of shape " + to_string(shape));
    const Value x = input(layer);
    const kernels::ConvShape conv = window(layer, shape, builder_.shape(x));
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
      if (builder_.shape(part).count() > kMaxValues / static_cast<std::int64_t>(parts.size()))
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
      throw std::invalid_argument(fmt::format("{} values as [{}, {}]", count, shape[0], shape[1]));
    return builder_.reshape(x, {rows, 1, channels});
  }

  const Safetensors& contents_;
  PlanBuilder& builder_;
  Readers readers_;
  std::map<std::string, Value> values_;
  std::map<std::string, Waiting> waiting_;
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

Plan compile_graph(const Safetensors& contents, const std::string& file, PictureShape input,
                   const std::vector<std::string>& outputs, std::int64_t capacity,
                   kernels::Device& device) {
  const std::vector<JsonFields> layers = layer_list(contents, file);
  const auto build = [&](PlanBuilder& builder) {
    GraphBuilder graph(contents, builder, Readers(layers, outputs));
    for (const JsonFields& entry : layers) {
      const Layer layer(entry);
      const std::string name = layer.text("output");
      try {
        graph.add(layer);
      } catch (const std::invalid_argument& fault) {
        throw std::runtime_error(file + ": layer " + name + ": " + fault.what());
      }
    }
    for (const std::string& name : outputs) {
      if (!graph.has(name) || name == "input")
        throw std::runtime_error(file + ": no layer makes the output " + name);
      try {
        builder.output(graph.value(name));
      } catch (const std::invalid_argument& fault) {
        throw std::runtime_error(file + ": output " + name + ": " + fault.what());
      }
    }
  };
  try {
    return Plan(input, capacity, build, device);
  } catch (const std::runtime_error& fault) {
    const std::string what = fault.what();
    if (what.starts_with(file)) throw;
    throw std::runtime_error(file + ": " + what);
  }
}

}  // namespace maskwatch::nn
