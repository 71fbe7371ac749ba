// Shapes that do not fit. Gradients are in mobilenet_v2_test.cc, the arithmetic in tests/kernels.
#include "nn/ops.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

TEST_CASE("shapes that do not fit: the message names operation and shapes") {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({4, 5});
  const Tensor picture = Tensor::zeros({1, 8, 8, 3}), none = Tensor::zeros({0, 8, 8, 3});
  const std::string both = "shapes [2, 3] and [4, 5] do not fit";
  CHECK(fault_of([&] { matmul(a, b); }) == "matmul: " + both);
  CHECK(fault_of([&] {
          matmul(Tensor::zeros({3, 0}), Tensor::zeros({0, 4}));
        }) == "matmul: shapes [3, 0] and [0, 4] do not fit");
  CHECK(fault_of([&] { add(a, b); }) == "add: " + both);
  CHECK(fault_of([&] { softmax_cross_entropy(a, b); }) == "softmax_cross_entropy: " + both);
  CHECK(fault_of([&] { binary_cross_entropy(a, b); }) == "binary_cross_entropy: " + both);
  CHECK(fault_of([&] { add_bias(a, Tensor::zeros({2})); }) ==
        "add_bias: shapes [2, 3] and [2] do not fit");
  CHECK(fault_of([&] {
          conv2d(picture, Tensor::zeros({3, 3, 4, 8}), 1, Padding::tf);
        }) == "conv2d: shapes [1, 8, 8, 3] and [3, 3, 4, 8] do not fit");
  CHECK(fault_of([&] {
          conv2d(none, Tensor::zeros({3, 3, 3, 8}), 1, Padding::tf);
        }) == "conv2d: shapes [0, 8, 8, 3] and [3, 3, 3, 8] do not fit");
  CHECK(fault_of([&] {
          conv2d(picture, Tensor::zeros({3, 3, 3, 8}), 0, Padding::tf);
        }) == "conv2d: stride 0 is not positive");
  CHECK(fault_of([&] {
          depthwise3x3(picture, Tensor::zeros({3, 3, 4}), 1, Padding::tf);
        }) == "depthwise3x3: shapes [1, 8, 8, 3] and [3, 3, 4] do not fit");
  CHECK(fault_of([&] {
          depthwise3x3(picture, Tensor::zeros({3, 3, 3}), -1, Padding::tf);
        }) == "depthwise3x3: stride -1 is not positive");
  CHECK(fault_of([&] { global_average_pool(a); }) ==
        "global_average_pool: takes [n, h, w, c], not [2, 3]");
  CHECK(fault_of([&] { softmax(Tensor::zeros({})); }) == "softmax: needs at least one axis");
  CHECK(fault_of([&] { dropout(a, 1.0, 0); }) == "dropout: rate 1 is not in [0, 1)");
  CHECK(fault_of([&] { dropout(a, -0.1, 0); }) == "dropout: rate -0.1 is not in [0, 1)");
  CHECK(contains(fault_of([&] { dropout(a, std::nan(""), 0); }), "not in [0, 1)"));
  CHECK(contains(fault_of([&] { add(Tensor(), a); }), "before it was given values"));
}
