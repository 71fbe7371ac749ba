// Parameters that do not fit, results and running statistics.
#include "nn/ops/batch_norm.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "tests/check.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

BatchNormState fresh_state(std::int64_t channels) {
  return {Tensor::full({channels}, 1), Tensor::zeros({channels}), Tensor::zeros({channels}),
          Tensor::full({channels}, 1)};
}

}  // namespace

TEST_CASE("batch norm: each of its four parameters must be [channels]") {
  const Tensor x = Tensor::zeros({2, 3}), wrong = Tensor::zeros({4});
  for (Tensor BatchNormState::*part : {&BatchNormState::gamma, &BatchNormState::beta,
                                       &BatchNormState::mean, &BatchNormState::variance}) {
    BatchNormState state = fresh_state(3);
    state.*part = wrong;
    CHECK(fault_of([&] { batch_norm_training(x, state, 1e-3, 0.9, false, Activation::none); }) ==
          "batch_norm_training: shapes [2, 3] and [4] do not fit");
    CHECK(fault_of([&] { batch_norm_frozen(x, state, 1e-3, Activation::none); }) ==
          "batch_norm_frozen: shapes [2, 3] and [4] do not fit");
  }
  CHECK(contains(fault_of([&] {
                   batch_norm_training(Tensor::zeros({0, 3}), fresh_state(3), 1e-3, 0.9, false,
                                       Activation::none);
                 }),
                 "no rows in [0, 3]"));
}

TEST_CASE("batch norm's statistics and result: PyTorch's flavour") {
  // torch 1.13: BatchNorm1d(2, eps=1e-5, momentum=0.1) on this x; torch's momentum 0.1 is our 0.9.
  const Tensor x = Tensor::from({4, 2}, {1, 2, 3, -4, 0.5, 7, 2, 2});
  const BatchNormState state = fresh_state(2);
  const Tensor y = batch_norm_training(x, state, 1e-5, 0.9, true, Activation::none);
  const check::Tolerance tolerance{1e-6, 1e-6};
  CHECK(check::difference(state.mean.values(), std::vector<double>{0.1625, 0.175}, tolerance) ==
        "");
  CHECK(check::difference(state.variance.values(),
                          std::vector<double>{1.0229166746139526, 2.924999952316284},
                          tolerance) == "");
  const std::vector<double> expected{-0.650941014289856,  0.06415000557899475, 1.4320703744888306,
                                     -1.4754501581192017, -1.1716938018798828, 1.3471500873565674,
                                     0.3905646800994873,  0.06415000557899475};
  CHECK(check::difference(y.values(), expected, tolerance) == "");
}

TEST_CASE("batch norm's running statistics: Keras' flavour, over several steps") {
  // running = momentum · running + (1 - momentum) · batch, with the biased variance.
  const BatchNormState state = fresh_state(1);
  double mean = 0, variance = 1;
  for (int step = 0; step < 5; ++step) {
    const Tensor x = drawn({3, 2, 2, 1}, static_cast<std::uint64_t>(step), 2.0 + step);
    double sum = 0, squares = 0;
    for (const double v : in_double(x)) sum += v / 12;
    for (const double v : in_double(x)) squares += (v - sum) * (v - sum) / 12;
    mean = 0.99 * mean + 0.01 * sum;
    variance = 0.99 * variance + 0.01 * squares;
    batch_norm_training(x, state, 1e-3, 0.99, false, Activation::relu6);
  }
  CHECK(state.mean.item() == doctest::Approx(mean).epsilon(1e-5));
  CHECK(state.variance.item() == doctest::Approx(variance).epsilon(1e-5));
}

TEST_CASE("a batch of one row: variance 0, and no division by zero in the unbiased flavour") {
  const BatchNormState state = fresh_state(2);
  const Tensor x = Tensor::from({1, 2}, {3, -5});
  const Tensor y = batch_norm_training(x, state, 1e-3, 0.9, true, Activation::none);
  CHECK(y.values() == std::vector<float>{0, 0});
  CHECK(state.variance.values() == std::vector<float>{0.9f, 0.9f});
}

TEST_CASE("frozen batch norm leaves the running statistics as they are") {
  const BatchNormState state = fresh_state(2);
  batch_norm_frozen(drawn({4, 2}, 1), state, 1e-3, Activation::none);
  CHECK(state.mean.values() == std::vector<float>{0, 0});
  CHECK(state.variance.values() == std::vector<float>{1, 1});
}
