#include "nn/graph_dot.h"

#include <fmt/format.h>

#include <algorithm>

namespace maskwatch::nn {
namespace {

using kernels::Activation;

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string text_of(Activation activation) {
  if (activation == Activation::none) return "";
  return activation == Activation::relu ? " + ReLU" : " + ReLU6";
}

std::string stride_of(const kernels::ConvShape& conv) {
  return conv.stride > 1 ? fmt::format(", stride {}", conv.stride) : "";
}

std::string text_of(const kernels::ConvShape& conv) {
  std::string text = fmt::format(" {}×{}", conv.kernel_height, conv.kernel_width);
  text += stride_of(conv);
  if (conv.dilation > 1) text += fmt::format(", dilation {}", conv.dilation);
  return text;
}

std::string text_of(const op::InvertedResidual& block) {
  const std::int64_t expanded = block.depthwise.weight.dim(2);
  const Tensor& expand = block.expand.weight;
  const std::string behind = stride_of(block.depthwise_conv) + text_of(block.out_activation) +
                             (block.residual ? ", + input" : "");
  if (!expand.defined()) return "depthwise separable" + behind;
  if (expand.shape().size() == 4)
    return fmt::format("inverted residual, conv{} to {}", text_of(block.expand_conv), expanded) +
           behind;
  return fmt::format("inverted residual, expanded to {}", expanded) + behind;
}

// What the operation does, in a few words.
std::string words_of(const Node& node) {
  return std::visit(
      Overloaded{
          [](const op::Conv2d& o) { return "conv" + text_of(o.conv) + text_of(o.activation); },
          [](const op::Depthwise3x3& o) {
            return "depthwise" + text_of(o.conv) + text_of(o.activation);
          },
          [&](const op::Pointwise& o) {
            return "pointwise" + text_of(o.activation) +
                   (node.inputs.size() > 1 ? ", + input" : "");
          },
          [](const op::BatchNorm& o) { return "batch norm" + text_of(o.activation); },
          [](const op::Activate& o) { return text_of(o.activation).substr(3); },
          [](const op::InvertedResidual& o) { return text_of(o); },
          [](const op::PointwiseAveragePool& o) {
            return "pointwise" + text_of(o.activation) + ", global average pool";
          },
          [](const auto& o) {
            std::string name = name_of(Operation(o));
            std::replace(name.begin(), name.end(), '_', ' ');
            return name;
          }},
      node.operation);
}

// Pale where little is computed, strong where much is: by the share of the largest.
std::string color_of(const Node& node, double products, double most) {
  if (std::holds_alternative<op::Input>(node.operation)) return "#dddddd";
  if (products <= 0) return "#ffffff";
  return fmt::format("0.09 {:.3f} 1.0", 0.1 + 0.5 * products / most);
}

}  // namespace

std::string to_dot(const Graph& graph, const std::string& title) {
  const std::vector<Node>& nodes = graph.nodes();
  double most = 1;
  for (const Node& node : nodes) most = std::max(most, products_of(graph, node));
  std::string text = fmt::format(
      "digraph {{\n  label=\"{}\"; labelloc=t; fontname=sans; nodesep=0.25; ranksep=0.25;\n"
      "  node [shape=box, style=filled, fontname=sans, fontsize=11, height=0.3];\n"
      "  edge [arrowsize=0.6];\n",
      escaped(title));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const double products = products_of(graph, nodes[i]);
    const bool is_output =
        std::any_of(graph.outputs().begin(), graph.outputs().end(),
                    [&](Value output) { return static_cast<std::size_t>(output.index) == i; });
    text += fmt::format("  n{} [label=\"{}{}\\n{}{}\", fillcolor=\"{}\"{}];\n", i,
                        has_int8_ranges(nodes[i].operation) ? "int8 " : "", words_of(nodes[i]),
                        to_string(nodes[i].shape),
                        products > 0 ? fmt::format("  {:.2f} M", products / 1e6) : "",
                        color_of(nodes[i], products, most), is_output ? ", peripheries=2" : "");
    for (const Value input : nodes[i].inputs)
      text += fmt::format("  n{} -> n{};\n", input.index, i);
  }
  return text + "}\n";
}

}  // namespace maskwatch::nn
