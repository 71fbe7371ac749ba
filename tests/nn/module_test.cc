// State, and what the modes and frozen parts do.
#include "nn/module.h"

#include <doctest/doctest.h>

#include "nn/classifier.h"
#include "nn/memory.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

MobileNetV2Options small(int size, double width = 0.35) {
  MobileNetV2Options options;
  options.width = width;
  options.input_size = size;
  return options;
}

}  // namespace

TEST_CASE("state goes from one module to another; a wrong one changes nothing") {
  Random first = Random::of_seed(1), second = Random::of_seed(2);
  MobileNetV2 a(small(32), first), b(small(32), second);
  a.eval();
  b.eval();
  const Tensor x = drawn({1, 32, 32, 3}, 3);
  REQUIRE(a.forward(x).values() != b.forward(x).values());
  b.load_state_dict(a.state_dict());
  CHECK(a.forward(x).values() == b.forward(x).values());

  StateDict state;
  for (const auto& [name, tensor] : a.state_dict()) state[name] = Tensor::zeros(tensor.shape());
  state["stranger"] = Tensor::zeros({1});
  state["stem.conv.weight"] = Tensor::zeros({3, 3, 3, 8});
  const std::string shape = message_of<std::invalid_argument>([&] { b.load_state_dict(state); });
  CHECK(shape == "tensor stem.conv.weight has shape [3, 3, 3, 8], expected [3, 3, 3, 16]");
  state.erase("stem.conv.weight");
  CHECK(message_of<std::invalid_argument>([&] { b.load_state_dict(state); }) ==
        "tensor stem.conv.weight is missing");
  CHECK(a.forward(x).values() == b.forward(x).values());

  StateDict prefixed;
  for (const auto& [name, tensor] : a.state_dict()) prefixed["net." + name] = tensor.clone();
  b.load_state_dict(prefixed, "net.");
  CHECK(a.forward(x).values() == b.forward(x).values());
}

TEST_CASE("undrawn parameters take no numbers from the stream, and only within their scope") {
  Random random = Random::of_seed(1), same = Random::of_seed(1);
  {
    const UndrawnParameters undrawn;
    CHECK(he_normal({2, 3}, 3, random).shape() == Shape{2, 3});
    CHECK(glorot_uniform({2, 3}, 2, 3, random).shape() == Shape{2, 3});
  }
  CHECK(he_normal({2, 3}, 3, random).values() == he_normal({2, 3}, 3, same).values());
}

TEST_CASE("a frozen network saves nothing for backward") {
  Random random = Random::of_seed(1);
  MobileNetV2 net(small(64), random);
  const Tensor x = drawn({2, 64, 64, 3}, 3);
  net.freeze();
  const std::size_t before = memory_use().live;
  const Tensor y = net.forward(x);
  CHECK_FALSE(y.requires_grad());
  CHECK(memory_use().live == before + static_cast<std::size_t>(y.count()) * sizeof(float));
}

TEST_CASE("training mode and evaluation mode") {
  ClassifierOptions options;
  options.backbone = small(32);
  options.labels = {"a", "b"};
  Classifier model(options);
  model.backbone().freeze();
  const Tensor x = drawn({2, 32, 32, 3}, 3);
  model.mask_head()->set_dropout_seed(1);
  const auto first = model.forward(x).values();
  CHECK(model.forward(x).values() == first);
  model.mask_head()->set_dropout_seed(2);
  CHECK(model.forward(x).values() != first);
  model.eval();
  const auto second = model.forward(x).values();
  model.mask_head()->set_dropout_seed(3);
  CHECK(model.forward(x).values() == second);
}
