#include "nn/ops/dropout.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

TEST_CASE("dropout: by the seed alone, with the mean kept, and the same mask backwards") {
  constexpr int count = 100000;
  Tensor x = Tensor::full({count}, 1);
  x.set_requires_grad(true);
  const Tensor y = dropout(x, 0.3, 7);
  CHECK(dropout(x, 0.3, 7).values() == y.values());
  CHECK(dropout(x, 0.3, 8).values() != y.values());
  {
    const Threads one(1);
    CHECK(dropout(x, 0.3, 7).values() == y.values());
  }
  const auto values = y.values();
  const auto zeros = std::count(values.begin(), values.end(), 0.0f);
  // Binomial(100000, 0.3): a deviation is 145; five of them.
  CHECK(std::abs(static_cast<double>(zeros) - 0.3 * count) < 5 * 145);
  for (const float v : values) CHECK_UNARY(v == 0 || std::abs(v - 1 / 0.7f) < 1e-6f);
  y.backward(Tensor::full({count}, 1));
  CHECK(x.grad().values() == values);
  CHECK(dropout(x, 0, 7).values() == x.values());
}
