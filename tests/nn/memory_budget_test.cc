// What stages hold is measured, and no more of them are recomputed than a budget asks for. How well
// that predicts a whole training step is in mobilenet_v2_test.cc.
#include "nn/memory_budget.h"

#include <doctest/doctest.h>

#include "nn/layers.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

TEST_CASE("a stage that is run and differentiated: what it keeps, and the most that it holds") {
  Random random = Random::of_seed(1);
  Dense first(256, 1024, random), second(1024, 256, random);
  second.freeze();
  const std::size_t before = memory_use().live;
  const std::vector<StageMemory> measured =
      measure_stages({&first, &second}, Tensor::zeros({512, 256}));
  REQUIRE(measured.size() == 2);
  // A dense layer keeps the product and, behind its bias, the sum.
  constexpr std::int64_t wide = 512 * 1024 * 4, narrow = 512 * 256 * 4, weight = 256 * 1024 * 4;
  CHECK(measured[0].result == wide);
  CHECK(measured[0].kept >= measured[0].result);
  CHECK(measured[0].backward >= measured[0].kept + weight);
  CHECK(measured[1].result == narrow);
  CHECK(measured[1].backward >= measured[1].kept + wide);  // the gradient of its input
  for (const Tensor& parameter : first.trainable_parameters())
    CHECK_FALSE(parameter.grad().defined());
  CHECK(memory_use().live == before);
}

TEST_CASE("measuring leaves running statistics as they are") {
  BatchNorm layer(4, {}, Activation::none);
  const auto before = layer.state_dict().at("variance").values();
  measure_stages({&layer}, Tensor::zeros({8, 4}));
  CHECK(layer.state_dict().at("variance").values() == before);
}

TEST_CASE("stages are recomputed from the one that saves most, until the budget holds") {
  const std::vector<StageMemory> stages = {{50, 10, 60}, {90, 10, 100}, {20, 10, 120}};
  const auto plan = [&](std::int64_t budget) { return plan_memory(stages, budget); };
  CHECK(plan(260).recomputed == std::vector<bool>{false, false, false});
  CHECK(plan(260).bytes == 50 + 90 + 120);
  CHECK(plan(259).recomputed == std::vector<bool>{false, true, false});
  CHECK(plan(259).bytes == 50 + 10 + 120);
  CHECK(plan(179).recomputed == std::vector<bool>{true, true, false});
  CHECK(plan(179).bytes == 10 + 10 + 120);
  CHECK(plan(1).recomputed == std::vector<bool>{true, true, false});
  CHECK(plan(1).bytes == 140);
  CHECK(plan_memory({}, 1).bytes == 0);
}
