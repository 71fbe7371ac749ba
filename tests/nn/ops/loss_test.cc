#include "nn/ops/loss.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

TEST_CASE("losses on logits: torch's numbers, and finite far out") {
  // torch 1.13: cross_entropy and binary_cross_entropy_with_logits of these.
  const Tensor logits = Tensor::from({3, 2}, {1, -2, 0.5, 0.25, -30, 60});
  const Tensor targets = Tensor::from({3, 2}, {1, 0, 0, 1, 1, 0});
  CHECK(softmax_cross_entropy(logits, targets).item() == doctest::Approx(30.2915096282959));
  CHECK(binary_cross_entropy(logits, targets).item() == doctest::Approx(15.33170223236084));
  for (const auto loss : {softmax_cross_entropy, binary_cross_entropy}) {
    Tensor far = Tensor::from({2, 2}, {1e38f, -1e38f, -1e30f, 1e30f});
    far.set_requires_grad(true);
    const Tensor value = loss(far, Tensor::from({2, 2}, {1, 0, 0, 1}));
    CHECK(value.item() == 0);
    value.backward();
    for (const float g : far.grad().values()) CHECK(g == 0);
    far.zero_grad();
    const Tensor wrong = loss(far, Tensor::from({2, 2}, {0, 1, 0, 1}));
    wrong.backward();
    for (const float g : far.grad().values()) CHECK(std::isfinite(g));
  }
}
