// Each rewrite leaves the outputs what they are, as a plan on the reference gives them, and makes
// the operations that it is there for; what something else reads stays.
#include "nn/fuse.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>

#include "nn/classifier.h"
#include "nn/padding.h"
#include "nn/plan.h"
#include "nn/ssd.h"
#include "tests/check.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

// Never released: tensors that the pool keeps belong to it.
kernels::Device& reference() {
  static kernels::Device* device =
      kernels::host_device("reference", kernels::ref::table<float>()).release();
  return *device;
}

std::map<std::string, int> counts_of(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const Node& node : graph.nodes()) ++counts[name_of(node.operation)];
  counts.erase("input");
  return counts;
}

using Counts = std::map<std::string, int>;

std::vector<std::vector<float>> outputs_of(const Graph& graph) {
  Plan plan(graph, 2, reference());
  const ActivationShape& in = plan.input_shape();
  const Tensor x = drawn({2, in.height, in.width, in.channels}, 3);
  plan.run(x.data(), 2);
  std::vector<std::vector<float>> outputs;
  for (int i = 0; i < std::ssize(graph.outputs()); ++i)
    outputs.emplace_back(plan.output(i), plan.output(i) + 2 * plan.output_shape(i).count());
  return outputs;
}

// The same outputs, but for a rounding of each weight and of each number between the layers.
void check_same(const Graph& before, const Graph& after) {
  const auto expected = outputs_of(before), found = outputs_of(after);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    double largest = 0;
    for (const float value : expected[i]) largest = std::max(largest, std::abs(double{value}));
    CHECK(largest > 0.01);
    CHECK(check::difference(found[i], std::vector<double>(expected[i].begin(), expected[i].end()),
                            {.absolute = 2e-5 * largest}) == "");
  }
}

op::BatchNorm drawn_norm(std::int64_t channels, Activation activation) {
  Tensor variance = drawn({channels}, 14);
  for (std::int64_t c = 0; c < channels; ++c)
    variance.data()[c] = 0.5f + std::abs(variance.data()[c]);
  return {drawn({channels}, 11),
          drawn({channels}, 12),
          drawn({channels}, 13),
          variance,
          1e-3,
          activation};
}

op::Conv2d full(const ActivationShape& in, std::int64_t out, bool bias) {
  return {{drawn({3, 3, in.channels, out}, 1, 0.3), bias ? drawn({out}, 2) : Tensor()},
          conv_shape(1, in.height, in.width, in.channels, out, 3, 2, Padding::tf)};
}

op::Depthwise3x3 depthwise(const ActivationShape& in, int stride, bool bias) {
  return {{drawn({3, 3, in.channels}, 3, 0.3), bias ? drawn({in.channels}, 4) : Tensor()},
          conv_shape(1, in.height, in.width, in.channels, in.channels, 3, stride, Padding::tf)};
}

op::Pointwise pointwise(std::int64_t in, std::int64_t out, bool bias, std::uint64_t seed = 5) {
  return {{drawn({in, out}, seed, 0.3), bias ? drawn({out}, seed + 1) : Tensor()}};
}

constexpr ActivationShape kInput{7, 6, 4};

Classifier trained_classifier() {
  ClassifierOptions options;
  options.backbone.width = 0.35;
  options.backbone.input_size = 48;
  options.labels = {"a", "b"};
  return Classifier(options, 5);
}

}  // namespace

TEST_CASE("batch norms go into the convolution before them") {
  Graph graph(kInput);
  const auto normed = [&](Operation layer, Value x, Activation activation) {
    const Value y = graph.add(std::move(layer), {x});
    return graph.add(drawn_norm(graph.shape(y).channels, activation), {y});
  };
  Value x = normed(full(kInput, 5, false), graph.input(), Activation::relu6);
  x = normed(depthwise(graph.shape(x), 1, false), x, Activation::relu);
  x = normed(pointwise(5, 6, false), x, Activation::none);
  graph.output(x);
  const Graph folded = fold_batch_norms(graph);
  CHECK(counts_of(folded) == Counts{{"conv2d", 1}, {"depthwise3x3", 1}, {"pointwise", 1}});
  check_same(graph, folded);
}

TEST_CASE("a batch norm stays behind what something else reads, what has a bias, and a sum") {
  Graph graph(kInput);
  const Value shared = graph.add(pointwise(4, 4, false), {graph.input()});
  const Value normed = graph.add(drawn_norm(4, Activation::relu), {shared});
  const Value biased = graph.add(pointwise(4, 4, true, 7), {normed});
  const Value again = graph.add(drawn_norm(4, Activation::none), {biased});
  const Value sum = graph.add(op::Add{}, {again, shared});
  graph.output(graph.add(drawn_norm(4, Activation::none), {sum}));
  const Graph folded = fold_batch_norms(graph);
  CHECK(counts_of(folded)["batch_norm"] == 3);
  check_same(graph, folded);
}

TEST_CASE("activations become a part of the layer before them, unless that is read elsewhere") {
  Graph graph(kInput);
  const Value x = graph.add(op::Activate{Activation::relu6},
                            {graph.add(full(kInput, 4, true), {graph.input()})});
  const Value wide = graph.add(pointwise(4, 4, true), {x});
  const Value active = graph.add(op::Activate{Activation::relu}, {wide});
  graph.output(graph.add(op::Add{}, {active, wide}));
  const Graph joined = join_activations(graph);
  CHECK(counts_of(joined) ==
        Counts{{"conv2d", 1}, {"pointwise", 1}, {"activation", 1}, {"add", 1}});
  check_same(graph, joined);
}

TEST_CASE("blocks: with an expansion, without, with a full convolution in front") {
  struct Form {
    const char* name;
    Activation expand, middle;
    bool full_expand, read_elsewhere;
    Counts expected;
  };
  const Form forms[] = {
      {"whole", Activation::relu6, Activation::relu6, false, false, {{"inverted_residual", 1}}},
      {"stem", Activation::relu, Activation::relu, true, false, {{"inverted_residual", 1}}},
      {"another activation",
       Activation::none,
       Activation::relu6,
       false,
       false,
       {{"inverted_residual", 1}, {"pointwise", 1}}},
      {"read elsewhere",
       Activation::relu6,
       Activation::relu6,
       false,
       true,
       {{"inverted_residual", 1}, {"pointwise", 1}}}};
  for (const Form& form : forms) {
    CAPTURE(form.name);
    Graph graph(kInput);
    Operation expand = full(kInput, 9, true);
    std::get<op::Conv2d>(expand).activation = form.expand;
    if (!form.full_expand) {
      op::Pointwise layer = pointwise(4, 9, true);
      layer.activation = form.expand;
      expand = layer;
    }
    const Value expanded = graph.add(expand, {graph.input()});
    op::Depthwise3x3 filter = depthwise(graph.shape(expanded), 2, true);
    filter.activation = form.middle;
    const Value filtered = graph.add(filter, {expanded});
    graph.output(graph.add(pointwise(9, 5, true, 9), {filtered}));
    if (form.read_elsewhere) graph.output(expanded);
    const Graph joined = join_blocks(graph);
    CHECK(counts_of(joined) == form.expected);
    check_same(graph, joined);
  }
}

TEST_CASE("no block: a stride above 2, a dilation, a depthwise layer that is an output") {
  for (const int form : {0, 1, 2}) {
    CAPTURE(form);
    Graph graph({9, 9, 4});
    op::Depthwise3x3 filter = depthwise({9, 9, 4}, form == 0 ? 3 : 1, true);
    if (form == 1) filter.conv.dilation = filter.conv.pad_top = filter.conv.pad_left = 2;
    const Value filtered = graph.add(filter, {graph.input()});
    graph.output(graph.add(pointwise(4, 5, true), {filtered}));
    if (form == 2) graph.output(filtered);
    const Graph joined = join_blocks(graph);
    CHECK(counts_of(joined) == counts_of(graph));
    check_same(graph, joined);
  }
}

TEST_CASE("sums go into the layer that makes one of their terms, on either side") {
  for (const bool first : {true, false}) {
    CAPTURE(first);
    Graph graph(kInput);
    const Value a = graph.add(op::Sigmoid{}, {graph.input()});
    op::Pointwise layer = pointwise(4, 4, true);
    layer.activation = Activation::relu;
    const Value b = graph.add(layer, {graph.input()});
    graph.output(graph.add(op::Add{}, first ? std::vector{b, a} : std::vector{a, b}));
    const Graph joined = join_residuals(graph);
    CHECK(counts_of(joined) == Counts{{"sigmoid", 1}, {"pointwise", 1}});
    check_same(graph, joined);
  }
}

TEST_CASE("a sum of two layers takes one of them, a sum with itself none") {
  Graph graph(kInput);
  const Value a = graph.add(pointwise(4, 4, true), {graph.input()});
  const Value b = graph.add(pointwise(4, 4, true, 8), {graph.input()});
  const Value sum = graph.add(op::Add{}, {a, b});
  const Value c = graph.add(pointwise(4, 4, true, 10), {sum});
  graph.output(graph.add(op::Add{}, {c, c}));
  const Graph joined = join_residuals(graph);
  CHECK(counts_of(joined) == Counts{{"pointwise", 3}, {"add", 1}});
  check_same(graph, joined);
}

TEST_CASE("a pool goes into the pointwise layer before it") {
  Graph graph(kInput);
  op::Pointwise layer = pointwise(4, 6, true);
  layer.activation = Activation::relu6;
  graph.output(graph.add(op::GlobalAveragePool{}, {graph.add(layer, {graph.input()})}));
  const Graph joined = join_pools(graph);
  CHECK(counts_of(joined) == Counts{{"pointwise_average_pool", 1}});
  check_same(graph, joined);
}

TEST_CASE(
    "whole networks: MobileNetV2's 17 blocks are 17 kernels, the detector's as many as it can") {
  const Classifier model = trained_classifier();
  const Graph graph = model.graph(), fused = fuse(graph);
  CHECK(counts_of(fused) == Counts{{"inverted_residual", 17},
                                   {"pointwise", 2},
                                   {"pointwise_average_pool", 1},
                                   {"softmax", 1}});
  int residuals = 0;
  for (const Node& node : fused.nodes())
    if (const auto* block = std::get_if<op::InvertedResidual>(&node.operation))
      residuals += block->residual;
  CHECK(residuals == 10);
  check_same(graph, fused);

  SsdNetworkOptions options;
  options.channels = 16;
  const SsdNetwork detector(options);
  const Graph net = detector.graph(64, 80), fast = fuse(net);
  // 17 blocks of the backbone, 4 levels, 4 heads; two expansions that the pyramid reads, 3 lateral
  // layers and 4 outputs.
  CHECK(counts_of(fast) == Counts{{"inverted_residual", 25},
                                  {"pointwise", 9},
                                  {"upsample2x", 2},
                                  {"reshape", 4},
                                  {"concat_rows", 1}});
  check_same(net, fast);
}
