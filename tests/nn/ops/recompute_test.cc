#include "nn/ops/recompute.h"

#include <doctest/doctest.h>

#include "nn/memory.h"
#include "nn/ops/elementwise.h"
#include "nn/ops/linear.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

TEST_CASE("a recomputed part keeps its result alone and gives the same gradients") {
  Tensor x = drawn({64, 32}, 1), weight = drawn({32, 32}, 2);
  x.set_requires_grad(true);
  weight.set_requires_grad(true);
  const auto part = [&](const Tensor& in) {
    return relu(matmul(relu(matmul(in, weight)), weight));
  };
  const Tensor upstream = drawn({64, 32}, 3);
  part(x).backward(upstream);
  const auto dx = x.grad().values(), dweight = weight.grad().values();
  x.zero_grad();
  weight.zero_grad();

  const std::size_t before = memory_use().live;
  const Tensor y = recomputed(x, {weight}, part);
  CHECK(memory_use().live == before + 64 * 32 * sizeof(float));
  CHECK(y.values() == part(x).values());
  y.backward(upstream);
  CHECK(x.grad().values() == dx);
  CHECK(weight.grad().values() == dweight);
}

TEST_CASE("a recomputed part whose input is frozen trains its parameters") {
  const Tensor x = drawn({4, 3}, 1);
  Tensor weight = drawn({3, 2}, 2);
  weight.set_requires_grad(true);
  recomputed(x, {weight}, [&](const Tensor& in) {
    return matmul(in, weight);
  }).backward(Tensor::full({4, 2}, 1));
  CHECK(weight.grad().defined());
  CHECK_FALSE(x.grad().defined());
}
