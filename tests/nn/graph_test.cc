// What a graph infers and what it refuses.
#include "nn/graph.h"

#include <doctest/doctest.h>

#include "nn/classifier.h"
#include "nn/padding.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

// What is said of an operation on an input of [8, 8, 3].
std::string fault(const Operation& operation, int inputs = 1) {
  return fault_of([&] {
    Graph graph({8, 8, 3});
    graph.add(operation, std::vector<Value>(static_cast<std::size_t>(inputs), graph.input()));
  });
}

}  // namespace

TEST_CASE("shapes follow from the inputs") {
  Graph graph({8, 6, 3});
  const Value x = graph.add(
      op::Conv2d{{Tensor::zeros({3, 3, 3, 4}), {}}, conv_shape(1, 8, 6, 3, 4, 3, 2, Padding::tf)},
      {graph.input()});
  CHECK(graph.shape(x) == ActivationShape{4, 3, 4});
  const Value wide = graph.add(op::Pointwise{{Tensor::zeros({4, 5}), {}}}, {x});
  CHECK(graph.shape(wide) == ActivationShape{4, 3, 5});
  CHECK(graph.shape(graph.add(op::ConcatChannels{}, {x, wide})) == ActivationShape{4, 3, 9});
  CHECK(graph.shape(graph.add(op::ConcatRows{}, {wide, wide})) == ActivationShape{8, 3, 5});
  CHECK(graph.shape(graph.add(op::Upsample2x{7, 6}, {x})) == ActivationShape{7, 6, 4});
  CHECK(graph.shape(graph.add(op::Reshape{{12, 1, 4}}, {x})) == ActivationShape{12, 1, 4});
  CHECK(graph.shape(graph.add(op::GlobalAveragePool{}, {wide})) == ActivationShape{1, 1, 5});
  CHECK(graph.shape(graph.add(op::Add{}, {x, x})) == ActivationShape{4, 3, 4});
  CHECK(graph.shape(graph.add(op::Sigmoid{}, {x})) == ActivationShape{4, 3, 4});
  CHECK(products_of(graph, graph.nodes()[1]) == 4 * 3 * 4 * 27);
  CHECK(products_of(graph, graph.nodes()[2]) == 4 * 3 * 4 * 5);
}

TEST_CASE("a classifier as a graph: its operations, and the multiply-adds of the paper") {
  ClassifierOptions options;
  options.labels = {"a", "b"};
  options.head = HeadKind::classifier;
  const Graph graph = Classifier(options).graph();
  int batch_norms = 0;
  double products = 0;
  for (const Node& node : graph.nodes()) {
    batch_norms += std::holds_alternative<op::BatchNorm>(node.operation);
    products += products_of(graph, node);
  }
  CHECK(batch_norms == 52);
  // Sandler et al. 2018 count 300 million, with ImageNet's thousand classes.
  CHECK(products + 1280 * 998 == doctest::Approx(300e6).epsilon(0.01));
  CHECK(graph.outputs().size() == 1);
  CHECK(name_of(graph.nodes().back().operation) == std::string("softmax"));
  CHECK(to_string(graph.nodes().back().shape) == "[1, 1, 2]");
}

TEST_CASE("what does not fit is named") {
  const kernels::ConvShape good = conv_shape(1, 8, 8, 3, 4, 3, 1, Padding::tf);
  kernels::ConvShape bad = good;
  bad.stride = 0;
  const Tensor weight = Tensor::zeros({3, 3, 3, 4});
  CHECK(fault(op::Conv2d{{weight, {}}, good}) == "nothing was thrown");
  CHECK(contains(fault(op::Conv2d{{Tensor::zeros({3, 3, 5, 4}), {}}, good}),
                 "conv2d: [8, 8, 3] with weights [3, 3, 5, 4]"));
  CHECK(contains(fault(op::Conv2d{{weight, Tensor::zeros({3})}, good}), "a bias [3]"));
  CHECK(contains(fault(op::Conv2d{{weight, {}}, bad}), "stride 0"));
  CHECK(contains(fault(op::Depthwise3x3{{Tensor::zeros({3, 3, 4}), {}}, good}),
                 "depthwise3x3: [8, 8, 3]"));
  CHECK(contains(fault(op::Pointwise{{Tensor::zeros({4, 4}), {}}}),
                 "pointwise: [8, 8, 3] with weights [4, 4]"));
  CHECK(contains(fault(op::Pointwise{{Tensor::zeros({3, 4}), {}}}, 2),
                 "residual [8, 8, 3] of a result [8, 8, 4]"));
  const Tensor four = Tensor::zeros({4});
  CHECK(contains(fault(op::BatchNorm{four, four, four, four}), "batch_norm: [8, 8, 3] with [4]"));
  CHECK(contains(fault(op::Upsample2x{9, 16}), "upsample2x: [8, 8, 3] to [9, 16, 3]"));
  CHECK(contains(fault(op::Reshape{{8, 8, 4}}), "reshape: [8, 8, 3] as [8, 8, 4]"));
  CHECK(contains(fault(op::Add{}), "add: 1 inputs"));
  CHECK(contains(fault(op::Softmax{}, 2), "softmax: 2 inputs"));
  CHECK(contains(fault(op::Input{}), "a graph has one"));
  CHECK(contains(
      fault_of([] {
        Graph graph({8, 8, 3});
        graph.add(op::Add{}, {graph.input(), graph.add(op::GlobalAveragePool{}, {graph.input()})});
      }),
      "add: [8, 8, 3] and [1, 1, 3]"));
  CHECK(contains(fault_of([] { Graph({8, 8, 3}).add(op::Softmax{}, {{7}}); }), "no such value"));
  CHECK(contains(fault_of([] { Graph({8, 8, 3}).output({0}); }), "input itself"));
  CHECK(contains(fault_of([] {
                   Graph graph({8, 8, 3});
                   const Value y = graph.add(op::Softmax{}, {graph.input()});
                   graph.output(y);
                   graph.output(y);
                 }),
                 "marked twice"));
}
