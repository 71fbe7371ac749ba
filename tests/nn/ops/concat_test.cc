// Joined tensors and their gradients.
#include "nn/ops/concat.h"

#include <doctest/doctest.h>

#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

TEST_CASE("concat along each axis, and each part's share of the gradient") {
  for (const auto& [axis, expected] : std::vector<std::pair<int, std::vector<float>>>{
           {0, {1, 2, 3, 4, 5, 6, 7, 8}}, {1, {1, 2, 5, 6, 3, 4, 7, 8}}}) {
    Tensor a = Tensor::from({2, 2}, {1, 2, 3, 4}), b = Tensor::from({2, 2}, {5, 6, 7, 8});
    a.set_requires_grad(true);
    b.set_requires_grad(true);
    const Tensor y = concat({a, b}, axis);
    CHECK(y.values() == expected);
    y.backward(y.detach());
    CHECK(a.grad().values() == a.values());
    CHECK(b.grad().values() == b.values());
  }
}

TEST_CASE("concat of unequal lengths in the middle; one part without a gradient") {
  Tensor a = drawn({2, 1, 3}, 1), b = drawn({2, 4, 3}, 2);
  b.set_requires_grad(true);
  const Tensor y = concat({a, b}, -2);
  CHECK(y.shape() == Shape{2, 5, 3});
  CHECK(y.data()[15] == a.data()[3]);
  CHECK(y.data()[18] == b.data()[12]);
  y.backward(y.detach());
  CHECK(b.grad().values() == b.values());
  CHECK_FALSE(a.grad().defined());
}

TEST_CASE("a part that stands twice gets both gradients") {
  Tensor a = Tensor::from({1, 2}, {1, 2});
  a.set_requires_grad(true);
  concat({a, a}, 1).backward(Tensor::from({1, 4}, {1, 2, 3, 5}));
  CHECK(a.grad().values() == std::vector<float>{4, 7});
}

TEST_CASE("shapes that do not fit are named") {
  const auto fault = [](const auto& run) { return message_of<std::invalid_argument>(run); };
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({2, 4}), c = Tensor::zeros({2});
  CHECK(fault([&] { concat({a, b}, 0); }) == "concat: shapes [2, 3] and [2, 4] do not fit");
  CHECK(fault([&] { concat({a, c}, 0); }) == "concat: shapes [2, 3] and [2] do not fit");
  CHECK(fault([&] { concat({a, a}, 2); }) == "concat: axis 2 of shape [2, 3]");
  CHECK(fault([] { concat({}, 0); }) == "concat: nothing to join");
}
