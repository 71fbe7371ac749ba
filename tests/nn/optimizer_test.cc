#include "nn/optimizer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "nn/layers.h"
#include "nn/ops.h"
#include "tests/check.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;
using Doubles = std::vector<double>;

namespace {

const std::vector<std::vector<float>> kGradients = {
    {0.5, -1.0, 0.25}, {-0.3f, 0.2f, 0.0}, {1e-3f, 4.0, -0.7f}};

Tensor start() {
  Tensor parameter = Tensor::from({3}, {1, -2, 0.5});
  return parameter.set_requires_grad(true);
}

void take_step(Optimizer& optimizer, const Tensor& parameter, std::size_t step, double rate) {
  optimizer.zero_grad();
  parameter.add_gradient(Tensor::from({3}, kGradients[step]));
  optimizer.step(rate);
}

constexpr check::Tolerance kTolerance{1e-7, 2e-7};

}  // namespace

TEST_CASE("Adam takes PyTorch's steps") {
  // torch 1.13: Adam([p], lr=0.01, eps=1e-7) with kGradients.
  const std::vector<Doubles> expected = {{0.99000001, -1.99000001, 0.49000001},
                                         {0.988085032, -1.98488975, 0.483299434},
                                         {0.986593783, -1.99010527, 0.487575561}};
  Tensor parameter = start();
  Adam adam({parameter});
  for (std::size_t step = 0; step < 3; ++step) {
    take_step(adam, parameter, step, 0.01);
    CHECK(check::difference(parameter.values(), expected[step], kTolerance) == "");
  }
  CHECK(adam.steps_taken() == 3);
}

TEST_CASE("Adam with weight decay takes the steps of PyTorch's AdamW, and leaves biases alone") {
  // torch 2.15: AdamW([p], lr=0.01, eps=1e-7, weight_decay=0.1) with kGradients.
  const std::vector<Doubles> expected = {{0.989000022, -1.98800004, 0.489500016},
                                         {0.986096084, -1.98090184, 0.482309937},
                                         {0.983618736, -1.98413646, 0.486103773}};
  Tensor weight = Tensor::from({1, 3}, {1, -2, 0.5}), bias = start(), plain = start();
  weight.set_requires_grad(true);
  Adam decaying({weight, bias}, {.weight_decay = 0.1}), adam({plain});
  for (std::size_t step = 0; step < 3; ++step) {
    weight.zero_grad();
    weight.add_gradient(Tensor::from({1, 3}, kGradients[step]));
    bias.zero_grad();
    bias.add_gradient(Tensor::from({3}, kGradients[step]));
    decaying.step(0.01);
    take_step(adam, plain, step, 0.01);
    CHECK(check::difference(weight.values(), expected[step], kTolerance) == "");
    CHECK(bias.values() == plain.values());
  }
}

TEST_CASE("gradients are clipped together, and only if they are long") {
  Tensor a = start(), b = start(), idle = start();
  Adam adam({a, idle, b});
  a.add_gradient(Tensor::from({3}, {3, 0, 0}));
  b.add_gradient(Tensor::from({3}, {0, -4, 0}));
  CHECK(adam.clip_gradients(5) == 5);
  CHECK(a.grad().values() == std::vector<float>{3, 0, 0});
  CHECK(adam.clip_gradients(1) == 5);
  CHECK(check::difference(a.grad().values(), Doubles{0.6, 0, 0}, kTolerance) == "");
  CHECK(check::difference(b.grad().values(), Doubles{0, -0.8, 0}, kTolerance) == "");
  a.add_gradient(Tensor::from({3}, {std::nanf(""), 0, 0}));
  CHECK(message_of<std::runtime_error>([&] { adam.clip_gradients(1); }) ==
        "the gradients are not finite: training has diverged");
}

TEST_CASE("the average of weights follows them, changes places with them and resumes") {
  Random random = Random::of_seed(1);
  Dense layer(2, 1, random);
  const Tensor weight = layer.state_dict().at("weight");
  const auto set = [&](float value) { std::fill_n(weight.data(), 2, value); };
  set(10);
  WeightAverage average(layer, 0.15);
  set(20);
  average.update();  // 0.1 · 10 + 0.9 · 20
  set(30);
  average.update();  // 0.15 · 19 + 0.85 · 30
  CHECK(average.state().at("weight").data()[1] == doctest::Approx(28.35));
  average.swap();
  CHECK(weight.data()[0] == doctest::Approx(28.35));
  average.swap();
  CHECK(weight.data()[0] == 30);

  StateDict saved;
  for (const auto& [name, tensor] : average.state()) saved[name] = tensor.clone();
  WeightAverage resumed(layer, 0.15);
  resumed.load_state(saved, average.updates());
  set(40);
  average.update();
  resumed.update();
  CHECK(resumed.state().at("weight").values() == average.state().at("weight").values());
  saved.erase("bias");
  CHECK_THROWS_AS(resumed.load_state(saved, 1), std::invalid_argument);
}

TEST_CASE("SGD with momentum and weight decay takes PyTorch's steps") {
  // torch 1.13: SGD([p], lr=0.1, momentum=0.9, weight_decay=0.01) with kGradients.
  const std::vector<Doubles> expected = {{0.949000001, -1.898, 0.4745},
                                         {0.93215102, -1.82430196, 0.451075494},
                                         {0.915954769, -2.15614939, 0.499542356}};
  Tensor parameter = start();
  Sgd sgd({parameter}, {0.9, 0.01});
  for (std::size_t step = 0; step < 3; ++step) {
    take_step(sgd, parameter, step, 0.1);
    CHECK(check::difference(parameter.values(), expected[step], kTolerance) == "");
  }
}

TEST_CASE("a parameter without a gradient stays") {
  Tensor used = start(), idle = start();
  Adam adam({idle, used});
  take_step(adam, used, 0, 0.01);
  CHECK(idle.values() == std::vector<float>{1, -2, 0.5});
  CHECK(used.values() != std::vector<float>{1, -2, 0.5});
}

TEST_CASE("an optimiser goes on from its saved state to the byte") {
  Tensor whole = start(), resumed = start();
  Adam through({whole});
  StateDict saved;
  {
    Adam before({resumed});
    for (std::size_t step = 0; step < 2; ++step) take_step(before, resumed, step, 0.01);
    for (const auto& [name, tensor] : before.state()) saved[name] = tensor.clone();
  }
  Adam after({resumed});
  after.load_state(saved, 2);
  take_step(after, resumed, 2, 0.01);
  for (std::size_t step = 0; step < 3; ++step) take_step(through, whole, step, 0.01);
  CHECK(whole.values() == resumed.values());
  CHECK(after.steps_taken() == 3);
}

TEST_CASE("state of other parameters is refused, and then nothing has changed") {
  Tensor parameter = start();
  Adam adam({parameter});
  take_step(adam, parameter, 0, 0.01);
  const auto before = adam.state().at("m.0").values();
  StateDict state;
  for (const auto& [name, tensor] : adam.state()) state[name] = Tensor::full(tensor.shape(), 7);
  state["v.0"] = Tensor::zeros({4});
  CHECK(contains(message_of<std::invalid_argument>([&] { adam.load_state(state, 9); }), "v.0"));
  state.erase("v.0");
  CHECK(contains(message_of<std::invalid_argument>([&] { adam.load_state(state, 9); }), "v.0"));
  CHECK(adam.state().at("m.0").values() == before);
  CHECK(adam.steps_taken() == 1);
}

TEST_CASE("schedules") {
  Schedule schedule;
  schedule.rate = 0.2;
  CHECK(schedule.at(0) == 0.2);
  CHECK(schedule.at(1000) == 0.2);

  schedule.kind = Schedule::Kind::inverse_time;  // Keras' legacy decay
  schedule.decay = 0.5;
  CHECK(schedule.at(0) == 0.2);
  CHECK(schedule.at(2) == doctest::Approx(0.1));
  CHECK(schedule.at(8) == doctest::Approx(0.04));

  schedule.kind = Schedule::Kind::cosine;
  schedule.steps = 10;
  // torch 1.13: CosineAnnealingLR(T_max=10), lr 0.2.
  const Doubles expected = {
      0.2, 0.19510565162951538, 0.18090169943749476,  0.15877852522924735, 0.13090169943749477,
      0.1, 0.06909830056250528, 0.041221474770752706, 0.01909830056250527, 0.004894348370484648,
      0.0};
  Doubles rates;
  for (int step = 0; step <= 10; ++step) rates.push_back(schedule.at(step));
  CHECK(check::difference(rates, expected, {1e-15, 1e-14}) == "");
  CHECK(schedule.at(99) == doctest::Approx(0));

  schedule.warm_up = 4;
  schedule.steps = 14;
  CHECK(schedule.at(0) == doctest::Approx(0.05));
  CHECK(schedule.at(3) == doctest::Approx(0.2));
  CHECK(schedule.at(4) == doctest::Approx(0.2));
  CHECK(schedule.at(9) == doctest::Approx(0.1));
}
