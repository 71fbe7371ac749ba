// The drawing of a graph says what each operation does and what it reads.
#include "nn/graph_dot.h"

#include <doctest/doctest.h>

#include "nn/classifier.h"
#include "nn/padding.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

}  // namespace

TEST_CASE("operations, shapes, multiply-adds and what reads what") {
  Graph graph({8, 6, 3});
  const Value conv = graph.add(op::Conv2d{{Tensor::zeros({3, 3, 3, 4}), {}},
                                          conv_shape(1, 8, 6, 3, 4, 3, 2, Padding::tf),
                                          kernels::Activation::relu6},
                               {graph.input()});
  const Value wide = graph.add(op::Pointwise{{Tensor::zeros({4, 4}), {}}}, {conv});
  graph.output(graph.add(op::Add{}, {conv, wide}));
  const std::string text = to_dot(graph, "a \"small\" network");
  CAPTURE(text);
  CHECK(text.starts_with("digraph {"));
  for (const char* part : {R"(label="a \"small\" network")", R"(n0 [label="input\n[8, 6, 3]")",
                           R"(n1 [label="conv 3×3, stride 2 + ReLU6\n[4, 3, 4]  0.00 M")",
                           R"(n2 [label="pointwise\n[4, 3, 4]  0.00 M")", "n0 -> n1;", "n1 -> n2;",
                           "n1 -> n3;", "n2 -> n3;"})
    CHECK(count_of(text, part) == 1);
  CHECK(count_of(text, "->") == 4);
  CHECK(count_of(text, "peripheries=2") == 1);
}

TEST_CASE("fused blocks say what was joined") {
  ClassifierOptions options;
  options.backbone.width = 0.35;
  options.backbone.input_size = 96;
  options.labels = {"a", "b"};
  const std::string text = to_dot(fuse(Classifier(options).graph()), "");
  CAPTURE(text);
  CHECK(count_of(text, "inverted residual") == 17);
  CHECK(count_of(text, "inverted residual, conv 3×3, stride 2 to 16") == 1);
  CHECK(count_of(text, ", + input") == 10);
  CHECK(count_of(text, "pointwise + ReLU6, global average pool") == 1);
}
