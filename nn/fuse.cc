#include "nn/fuse.h"

#include <cmath>
#include <functional>
#include <optional>
#include <utility>

namespace maskwatch::nn {
namespace {

using kernels::Activation;

// Copies a graph node by node. A rewrite may take nodes out of the copy (skip) and put another in
// the place of one (replace); what read a node that was taken out then reads what stands for it.
class Rewriter {
 public:
  explicit Rewriter(const Graph& from) : from_(from), readers_(from.nodes().size()) {
    for (const Node& node : from.nodes())
      for (const Value input : node.inputs) ++readers_[at(input)];
    for (const Value output : from.outputs()) ++readers_[at(output)];
    replaced_.resize(readers_.size());
    skipped_.resize(readers_.size());
  }

  const Node& node(Value value) const { return from_.nodes()[at(value)]; }
  Value input_of(const Node& node) const { return node.inputs.front(); }

  // The operation that makes `value`, if it is an Op, nothing else reads it and no rewrite has it.
  template <typename Op>
  const Op* only_read(Value value) const {
    if (readers_[at(value)] != 1 || skipped_[at(value)] || replaced_[at(value)]) return nullptr;
    return std::get_if<Op>(&node(value).operation);
  }

  void skip(Value value) { skipped_[at(value)] = true; }
  void replace(Value value, Operation operation, std::vector<Value> inputs) {
    replaced_[at(value)] = {std::move(operation), std::move(inputs)};
  }

  // visit(value, node) for all nodes but the input, in order; then the rewritten graph.
  Graph run(const std::function<void(Value value, const Node& node)>& visit) {
    const auto count = static_cast<int>(from_.nodes().size());
    for (int i = 1; i < count; ++i) visit({i}, node({i}));
    Graph to(from_.shape(from_.input()));
    std::vector<Value> stands_for(readers_.size());
    stands_for[0] = to.input();
    for (int i = 1; i < count; ++i) {
      const Value value{i};
      if (skipped_[at(value)]) continue;
      auto& [operation, inputs] = replaced_[at(value)]
                                      ? *replaced_[at(value)]
                                      : kept_.emplace(node(value).operation, node(value).inputs);
      for (Value& input : inputs) input = stands_for[at(input)];
      stands_for[at(value)] = to.add(std::move(operation), std::move(inputs));
    }
    for (const Value output : from_.outputs()) to.output(stands_for[at(output)]);
    return to;
  }

 private:
  using Rewritten = std::pair<Operation, std::vector<Value>>;

  static std::size_t at(Value value) { return static_cast<std::size_t>(value.index); }

  const Graph& from_;
  std::vector<int> readers_;
  std::vector<std::optional<Rewritten>> replaced_;
  std::optional<Rewritten> kept_;
  std::vector<bool> skipped_;
};

// The layer that makes `value` with a batch norm behind it folded in; none if there is no such one.
template <typename Layer>
std::optional<Operation> folded(const Rewriter& rewriter, Value value,
                                const op::BatchNorm& batch_norm) {
  const Layer* layer = rewriter.only_read<Layer>(value);
  if (!layer || layer->weights.bias.defined() || layer->activation != Activation::none ||
      rewriter.node(value).inputs.size() > 1)
    return std::nullopt;
  Layer joined = *layer;
  joined.weights = fold_batch_norm(layer->weights.weight, batch_norm);
  joined.activation = batch_norm.activation;
  return joined;
}

template <typename Layer>
std::optional<Operation> activated(const Rewriter& rewriter, Value value, Activation activation) {
  const Layer* layer = rewriter.only_read<Layer>(value);
  if (!layer || layer->activation != Activation::none || rewriter.node(value).inputs.size() > 1)
    return std::nullopt;
  Layer joined = *layer;
  joined.activation = activation;
  return joined;
}

// Puts the joined operation in the place of the later node, with the inputs of the earlier one.
void join(Rewriter& rewriter, Value earlier, Value later, std::optional<Operation> joined) {
  if (!joined) return;
  rewriter.skip(earlier);
  rewriter.replace(later, std::move(*joined), rewriter.node(earlier).inputs);
}

bool fits_block(const op::Depthwise3x3& layer) {
  return layer.conv.stride <= 2 && layer.conv.dilation == 1 && layer.weights.bias.defined();
}

// The convolution before a block's depthwise layer, if it becomes a part of the block.
bool expands(const Rewriter& rewriter, Value value, Activation activation,
             op::InvertedResidual& block) {
  if (const auto* full = rewriter.only_read<op::Conv2d>(value)) {
    if (full->conv.kernel_height < 2 || full->conv.kernel_height != full->conv.kernel_width ||
        full->conv.dilation != 1 || full->activation != activation || !full->weights.bias.defined())
      return false;
    block.expand = full->weights;
    block.expand_conv = full->conv;
    return true;
  }
  const auto* pointwise = rewriter.only_read<op::Pointwise>(value);
  if (!pointwise || pointwise->activation != activation || !pointwise->weights.bias.defined() ||
      rewriter.node(value).inputs.size() > 1)
    return false;
  block.expand = pointwise->weights;
  return true;
}

}  // namespace

LayerWeights fold_batch_norm(const Tensor& weight, const op::BatchNorm& batch_norm) {
  const std::int64_t channels = weight.dim(-1);
  LayerWeights folded{weight.cpu().clone(), Tensor::empty({channels})};
  const Tensor gamma = batch_norm.gamma.cpu(), beta = batch_norm.beta.cpu();
  const Tensor mean = batch_norm.mean.cpu(), variance = batch_norm.variance.cpu();
  std::vector<double> factors(static_cast<std::size_t>(channels));
  for (std::int64_t c = 0; c < channels; ++c) {
    const double factor = gamma.data()[c] / std::sqrt(variance.data()[c] + batch_norm.epsilon);
    factors[static_cast<std::size_t>(c)] = factor;
    folded.bias.data()[c] = static_cast<float>(beta.data()[c] - mean.data()[c] * factor);
  }
  float* w = folded.weight.data();
  for (std::int64_t i = 0; i < folded.weight.count(); ++i)
    w[i] = static_cast<float>(w[i] * factors[static_cast<std::size_t>(i % channels)]);
  return folded;
}

Graph fold_batch_norms(const Graph& graph) {
  Rewriter rewriter(graph);
  return rewriter.run([&](Value value, const Node& node) {
    const auto* batch_norm = std::get_if<op::BatchNorm>(&node.operation);
    if (!batch_norm) return;
    const Value before = rewriter.input_of(node);
    auto joined = folded<op::Conv2d>(rewriter, before, *batch_norm);
    if (!joined) joined = folded<op::Depthwise3x3>(rewriter, before, *batch_norm);
    if (!joined) joined = folded<op::Pointwise>(rewriter, before, *batch_norm);
    join(rewriter, before, value, std::move(joined));
  });
}

Graph join_activations(const Graph& graph) {
  Rewriter rewriter(graph);
  return rewriter.run([&](Value value, const Node& node) {
    const auto* activate = std::get_if<op::Activate>(&node.operation);
    if (!activate) return;
    const Value before = rewriter.input_of(node);
    auto joined = activated<op::Conv2d>(rewriter, before, activate->activation);
    if (!joined) joined = activated<op::Depthwise3x3>(rewriter, before, activate->activation);
    if (!joined) joined = activated<op::Pointwise>(rewriter, before, activate->activation);
    if (!joined) joined = activated<op::BatchNorm>(rewriter, before, activate->activation);
    join(rewriter, before, value, std::move(joined));
  });
}

Graph join_blocks(const Graph& graph) {
  Rewriter rewriter(graph);
  return rewriter.run([&](Value value, const Node& node) {
    const auto* project = std::get_if<op::Pointwise>(&node.operation);
    if (!project || node.inputs.size() > 1 || !project->weights.bias.defined()) return;
    const Value middle = rewriter.input_of(node);
    const auto* depthwise = rewriter.only_read<op::Depthwise3x3>(middle);
    if (!depthwise || !fits_block(*depthwise)) return;
    op::InvertedResidual block;
    block.depthwise = depthwise->weights;
    block.depthwise_conv = depthwise->conv;
    block.project = project->weights;
    block.activation = depthwise->activation;
    block.out_activation = project->activation;
    Value first = rewriter.input_of(rewriter.node(middle));
    if (expands(rewriter, first, block.activation, block)) {
      rewriter.skip(first);
      first = rewriter.input_of(rewriter.node(first));
    }
    rewriter.skip(middle);
    rewriter.replace(value, block, {first});
  });
}

Graph join_residuals(const Graph& graph) {
  Rewriter rewriter(graph);
  return rewriter.run([&](Value value, const Node& node) {
    if (!std::holds_alternative<op::Add>(node.operation)) return;
    for (const auto& [term, other] :
         {std::pair(node.inputs[1], node.inputs[0]), std::pair(node.inputs[0], node.inputs[1])}) {
      const Node& layer = rewriter.node(term);
      if (const auto* block = rewriter.only_read<op::InvertedResidual>(term);
          block && !block->residual && rewriter.input_of(layer).index == other.index) {
        op::InvertedResidual joined = *block;
        joined.residual = true;
        return join(rewriter, term, value, joined);
      }
      if (const auto* pointwise = rewriter.only_read<op::Pointwise>(term);
          pointwise && layer.inputs.size() == 1) {
        rewriter.skip(term);
        return rewriter.replace(value, *pointwise, {rewriter.input_of(layer), other});
      }
    }
  });
}

Graph join_pools(const Graph& graph) {
  Rewriter rewriter(graph);
  return rewriter.run([&](Value value, const Node& node) {
    if (!std::holds_alternative<op::GlobalAveragePool>(node.operation)) return;
    const Value before = rewriter.input_of(node);
    const auto* pointwise = rewriter.only_read<op::Pointwise>(before);
    if (!pointwise || rewriter.node(before).inputs.size() > 1) return;
    join(rewriter, before, value,
         op::PointwiseAveragePool{pointwise->weights, pointwise->activation});
  });
}

Graph fuse(const Graph& graph) {
  return join_pools(join_residuals(join_blocks(join_activations(fold_batch_norms(graph)))));
}

}  // namespace maskwatch::nn
