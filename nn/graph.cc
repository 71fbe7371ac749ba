#include "nn/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "nn/ops/check.h"

namespace maskwatch::nn {
namespace {

using Inputs = std::vector<ActivationShape>;

constexpr std::array<const char*, std::variant_size_v<Operation>> kNames = {
    "input",
    "conv2d",
    "depthwise3x3",
    "pointwise",
    "batch_norm",
    "activation",
    "add",
    "average_pool",
    "softmax",
    "sigmoid",
    "concat_channels",
    "concat_rows",
    "upsample2x",
    "reshape",
    "inverted_residual",
    "pointwise_average_pool"};

void require_weights(bool holds, const char* operation, const ActivationShape& x,
                     const LayerWeights& weights) {
  if (!holds)
    reject(operation, to_string(x) + " with weights " + to_string(weights.weight.shape()));
  if (weights.bias.defined() && weights.bias.shape() != Shape{weights.weight.dim(-1)})
    reject(operation, "weights " + to_string(weights.weight.shape()) + " with a bias " +
                          to_string(weights.bias.shape()));
}

// Stride, dilation, padding before and the size of the result are the caller's.
void complete(kernels::ConvShape& conv, const ActivationShape& x, const Tensor& weight,
              const char* operation) {
  if (conv.stride < 1 || conv.dilation < 1 || conv.pad_top < 0 || conv.pad_left < 0 ||
      conv.out_height < 1 || conv.out_width < 1)
    reject(operation,
           fmt::format("{} with stride {}, dilation {}, padding {} and {} to a result of {}x{}",
                       to_string(x), conv.stride, conv.dilation, conv.pad_top, conv.pad_left,
                       conv.out_height, conv.out_width));
  conv.batch = 1;
  conv.in_height = x.height;
  conv.in_width = x.width;
  conv.in_channels = x.channels;
  conv.out_channels = weight.dim(-1);
  conv.kernel_height = static_cast<int>(weight.dim(0));
  conv.kernel_width = static_cast<int>(weight.dim(1));
}

ActivationShape result_of(const kernels::ConvShape& conv) {
  return {conv.out_height, conv.out_width, conv.out_channels};
}

// Each makes the shape of the result from those of the inputs, and completes the operation.

ActivationShape infer(op::Conv2d& o, const Inputs& in) {
  const Shape& w = o.weights.weight.shape();
  require_weights(w.size() == 4 && w[2] == in[0].channels, "conv2d", in[0], o.weights);
  complete(o.conv, in[0], o.weights.weight, "conv2d");
  return result_of(o.conv);
}

ActivationShape infer(op::Depthwise3x3& o, const Inputs& in) {
  require_weights(o.weights.weight.shape() == Shape{3, 3, in[0].channels}, "depthwise3x3", in[0],
                  o.weights);
  complete(o.conv, in[0], o.weights.weight, "depthwise3x3");
  return result_of(o.conv);
}

ActivationShape infer(op::Pointwise& o, const Inputs& in) {
  const Shape& w = o.weights.weight.shape();
  require_weights(w.size() == 2 && w[0] == in[0].channels, "pointwise", in[0], o.weights);
  const ActivationShape out{in[0].height, in[0].width, w[1]};
  if (in.size() > 1 && in[1] != out)
    reject("pointwise", "residual " + to_string(in[1]) + " of a result " + to_string(out));
  return out;
}

ActivationShape infer(op::BatchNorm& o, const Inputs& in) {
  for (const Tensor* parameter : {&o.gamma, &o.beta, &o.mean, &o.variance})
    if (parameter->shape() != Shape{in[0].channels})
      reject("batch_norm", to_string(in[0]) + " with " + to_string(parameter->shape()));
  return in[0];
}

ActivationShape infer(op::Activate&, const Inputs& in) { return in[0]; }
ActivationShape infer(op::Softmax&, const Inputs& in) { return in[0]; }
ActivationShape infer(op::Sigmoid&, const Inputs& in) { return in[0]; }

ActivationShape infer(op::Add&, const Inputs& in) {
  if (in[0] != in[1]) reject("add", to_string(in[0]) + " and " + to_string(in[1]));
  return in[0];
}

ActivationShape infer(op::GlobalAveragePool&, const Inputs& in) { return {1, 1, in[0].channels}; }

ActivationShape infer(op::ConcatChannels&, const Inputs& in) {
  ActivationShape out{in[0].height, in[0].width, 0};
  for (const ActivationShape& part : in) {
    if (part.height != out.height || part.width != out.width)
      reject("concat_channels", to_string(in[0]) + " and " + to_string(part));
    out.channels += part.channels;
  }
  return out;
}

ActivationShape infer(op::ConcatRows&, const Inputs& in) {
  ActivationShape out{0, in[0].width, in[0].channels};
  for (const ActivationShape& part : in) {
    if (part.width != out.width || part.channels != out.channels)
      reject("concat_rows", to_string(in[0]) + " and " + to_string(part));
    out.height += part.height;
  }
  return out;
}

ActivationShape infer(op::Upsample2x& o, const Inputs& in) {
  const ActivationShape out{o.height, o.width, in[0].channels};
  if ((o.height + 1) / 2 != in[0].height || (o.width + 1) / 2 != in[0].width)
    reject("upsample2x", to_string(in[0]) + " to " + to_string(out));
  return out;
}

ActivationShape infer(op::Reshape& o, const Inputs& in) {
  if (o.shape.count() != in[0].count())
    reject("reshape", to_string(in[0]) + " as " + to_string(o.shape));
  return o.shape;
}

ActivationShape infer(op::InvertedResidual& o, const Inputs& in) {
  constexpr const char* operation = "inverted_residual";
  ActivationShape middle = in[0];
  if (const Tensor& expand = o.expand.weight; expand.defined()) {
    const Shape& w = expand.shape();
    const bool full = w.size() == 4 && w[0] == w[1] && w[2] == in[0].channels;
    require_weights(full || (w.size() == 2 && w[0] == in[0].channels), operation, in[0], o.expand);
    middle.channels = w.back();
    if (full) {
      complete(o.expand_conv, in[0], expand, operation);
      middle = result_of(o.expand_conv);
    }
  }
  require_weights(o.depthwise.weight.shape() == Shape{3, 3, middle.channels}, operation, middle,
                  o.depthwise);
  complete(o.depthwise_conv, middle, o.depthwise.weight, operation);
  const Shape& project = o.project.weight.shape();
  require_weights(project.size() == 2 && project[0] == middle.channels, operation, middle,
                  o.project);
  const ActivationShape out{o.depthwise_conv.out_height, o.depthwise_conv.out_width, project[1]};
  if (o.residual && in[0] != out)
    reject(operation, "residual " + to_string(in[0]) + " of a result " + to_string(out));
  return out;
}

ActivationShape infer(op::PointwiseAveragePool& o, const Inputs& in) {
  const Shape& w = o.weights.weight.shape();
  require_weights(w.size() == 2 && w[0] == in[0].channels, "pointwise_average_pool", in[0],
                  o.weights);
  return {1, 1, w[1]};
}

ActivationShape infer(op::Input&, const Inputs&) { reject("input", "a graph has one"); }

// How many values an operation may read.
struct Arity {
  std::size_t least = 1, most = 1;
};

Arity arity_of(const Operation& operation) {
  if (std::holds_alternative<op::Add>(operation)) return {2, 2};
  if (std::holds_alternative<op::Pointwise>(operation)) return {1, 2};
  if (std::holds_alternative<op::ConcatChannels>(operation) ||
      std::holds_alternative<op::ConcatRows>(operation))
    return {1, SIZE_MAX};
  return {};
}

double window_products(const kernels::ConvShape& s) {
  return static_cast<double>(s.out_height * s.out_width * s.out_channels) * s.kernel_height *
         s.kernel_width;
}

double block_products(const op::InvertedResidual& o, const ActivationShape& in) {
  const kernels::ConvShape& middle = o.depthwise_conv;
  const Tensor& expand = o.expand.weight;
  double products = static_cast<double>(middle.out_height * middle.out_width) *
                    static_cast<double>(o.project.weight.count());
  products += window_products(middle);
  if (!expand.defined()) return products;
  const bool full = expand.shape().size() == 4;
  const double positions =
      static_cast<double>(full ? middle.in_height * middle.in_width : in.height * in.width);
  return products + positions * static_cast<double>(expand.count());
}

}  // namespace

std::string to_string(const ActivationShape& s) {
  return fmt::format("[{}, {}, {}]", s.height, s.width, s.channels);
}

const char* name_of(const Operation& operation) { return kNames[operation.index()]; }

bool has_int8_ranges(const Operation& operation) {
  if (const auto* o = std::get_if<op::Pointwise>(&operation)) return o->input_range.has_value();
  if (const auto* o = std::get_if<op::PointwiseAveragePool>(&operation))
    return o->input_range.has_value();
  const auto* block = std::get_if<op::InvertedResidual>(&operation);
  return block != nullptr && block->ranges.has_value();
}

Graph::Graph(ActivationShape input) { nodes_.push_back({op::Input{}, {}, input}); }

const ActivationShape& Graph::shape(Value value) const {
  if (value.index < 0 || value.index >= std::ssize(nodes_)) reject("Graph", "no such value");
  return nodes_[static_cast<std::size_t>(value.index)].shape;
}

Value Graph::add(Operation operation, std::vector<Value> inputs) {
  const auto [least, most] = arity_of(operation);
  if (inputs.size() < least || inputs.size() > most)
    reject(name_of(operation), fmt::format("{} inputs", inputs.size()));
  Inputs shapes;
  for (const Value input : inputs) shapes.push_back(shape(input));
  const ActivationShape out = std::visit([&](auto& o) { return infer(o, shapes); }, operation);
  nodes_.push_back({std::move(operation), std::move(inputs), out});
  return {static_cast<int>(nodes_.size()) - 1};
}

void Graph::output(Value value) {
  shape(value);
  if (value.index == 0) reject("output", "the input itself is not an output");
  const auto is_value = [&](Value other) { return other.index == value.index; };
  if (std::any_of(outputs_.begin(), outputs_.end(), is_value)) reject("output", "marked twice");
  outputs_.push_back(value);
}

double products_of(const Graph& graph, const Node& node) {
  if (const auto* o = std::get_if<op::Conv2d>(&node.operation))
    return window_products(o->conv) * static_cast<double>(o->conv.in_channels);
  if (const auto* o = std::get_if<op::Depthwise3x3>(&node.operation))
    return window_products(o->conv);
  if (const auto* o = std::get_if<op::InvertedResidual>(&node.operation))
    return block_products(*o, graph.shape(node.inputs.front()));
  const auto pointwise = [&](const LayerWeights& weights) {
    const ActivationShape& in = graph.shape(node.inputs.front());
    return static_cast<double>(in.height * in.width) * static_cast<double>(weights.weight.count());
  };
  if (const auto* o = std::get_if<op::Pointwise>(&node.operation)) return pointwise(o->weights);
  if (const auto* o = std::get_if<op::PointwiseAveragePool>(&node.operation))
    return pointwise(o->weights);
  return 0;
}

}  // namespace maskwatch::nn
