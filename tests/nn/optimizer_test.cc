#include "nn/optimizer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <memory>

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
