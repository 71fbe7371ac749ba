// Shapes that do not fit, batch norm's running statistics, dropout and losses. Gradients are in
// module_test.cc, the arithmetic in tests/kernels.
#include "nn/ops.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/check.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

template <typename Run>
std::string fault_of(const Run& run) {
  return message_of<std::invalid_argument>(run);
}

std::vector<double> in_double(const Tensor& tensor) {
  const auto values = tensor.values();
  return {values.begin(), values.end()};
}

BatchNormState fresh_state(std::int64_t channels) {
  return {Tensor::full({channels}, 1), Tensor::zeros({channels}), Tensor::zeros({channels}),
          Tensor::full({channels}, 1)};
}

}  // namespace

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
  CHECK(contains(fault_of([&] { add(Tensor(), a); }), "before it was given numbers"));
}

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

namespace {

struct Chain {
  Tensor x;
  std::vector<ConvBatchNormLayer> layers;
  bool residual;
};

// Expansion, depthwise convolution, projection; without the first where `expansion` is 1.
Chain drawn_chain(int expansion, int stride, bool fixed) {
  const std::int64_t in = 5, hidden = in * expansion, out = stride == 1 ? in : 7;
  std::uint64_t seed = 10;
  const auto layer = [&](Shape weight, Activation activation, int of_stride) {
    const std::int64_t channels = weight.back();
    ConvBatchNormLayer made = {.weight = drawn(weight, ++seed),
                               .state = {drawn({channels}, ++seed), drawn({channels}, ++seed),
                                         drawn({channels}, ++seed), Tensor::full({channels}, 2)},
                               .epsilon = 1e-3,
                               .momentum = 0.9,
                               .unbiased = true,
                               .activation = activation,
                               .fixed_statistics = fixed,
                               .stride = of_stride};
    for (Tensor* t : {&made.weight, &made.state.gamma, &made.state.beta})
      t->set_requires_grad(true);
    return made;
  };
  Chain chain = {drawn({3, 9, 8, in}, 1), {}, stride == 1};
  chain.x.set_requires_grad(true);
  if (expansion > 1) chain.layers.push_back(layer({in, hidden}, Activation::relu6, 1));
  chain.layers.push_back(layer({3, 3, hidden}, Activation::relu6, stride));
  chain.layers.push_back(layer({hidden, out}, Activation::none, 1));
  return chain;
}

// The same by the operations that conv_batch_norms() stands for.
Tensor one_by_one(const Chain& chain) {
  Tensor y = chain.x;
  for (const ConvBatchNormLayer& l : chain.layers) {
    y = l.weight.shape().size() == 2 ? matmul(y, l.weight)
                                     : depthwise3x3(y, l.weight, l.stride, l.padding);
    y = l.fixed_statistics
            ? batch_norm_frozen(y, l.state, l.epsilon, l.activation)
            : batch_norm_training(y, l.state, l.epsilon, l.momentum, l.unbiased, l.activation);
  }
  return chain.residual ? add(chain.x, y) : y;
}

// What both ways must agree on, by name.
std::vector<std::pair<std::string, Tensor>> results(const Chain& chain, const Tensor& y) {
  y.backward(drawn(y.shape(), 5));
  std::vector<std::pair<std::string, Tensor>> all = {{"y", y}, {"dx", chain.x.grad()}};
  for (const ConvBatchNormLayer& l : chain.layers)
    all.insert(all.end(), {{"weight", l.weight.grad()},
                           {"gamma", l.state.gamma.grad()},
                           {"beta", l.state.beta.grad()},
                           {"running mean", l.state.mean},
                           {"running variance", l.state.variance}});
  return all;
}

}  // namespace

TEST_CASE("convolutions that take in their batch norms do what the operations do one by one") {
  for (const int expansion : {1, 3})
    for (const int stride : {1, 2})
      for (const bool fixed : {false, true}) {
        CAPTURE(expansion);
        CAPTURE(stride);
        CAPTURE(fixed);
        const Chain together = drawn_chain(expansion, stride, fixed);
        const Chain apart = drawn_chain(expansion, stride, fixed);
        const auto actual =
            results(together, conv_batch_norms(together.x, together.layers, together.residual));
        const auto expected = results(apart, one_by_one(apart));
        for (std::size_t i = 0; i < expected.size(); ++i) {
          INFO(expected[i].first << ", " << i);
          CHECK(check::difference(actual[i].second.values(), in_double(expected[i].second),
                                  {.absolute = 2e-5, .relative = 2e-5}) == "");
        }
      }
}

TEST_CASE(
    "convolutions with batch norms: nothing is kept, and nothing moves, where nothing is learnt") {
  const Chain chain = drawn_chain(3, 1, false);
  const std::vector<float> mean = chain.layers[0].state.mean.values();
  {
    const RecordingScope again(Recording::again);
    conv_batch_norms(chain.x, chain.layers, true);
  }
  CHECK(chain.layers[0].state.mean.values() == mean);
  const RecordingScope off(Recording::off);
  const Tensor y = conv_batch_norms(chain.x, chain.layers, true);
  CHECK(chain.layers[0].state.mean.values() != mean);
  CHECK(fault_of([&] { y.backward(y); }) != "");
}

TEST_CASE("convolutions with batch norms: shapes that do not fit") {
  const Chain chain = drawn_chain(3, 1, false);
  const auto fault = [&](const Tensor& x, std::vector<ConvBatchNormLayer> layers, bool residual) {
    return fault_of([&] { conv_batch_norms(x, layers, residual); });
  };
  CHECK(fault(chain.x, {}, false) == "conv_batch_norms: no layers");
  CHECK(fault(Tensor::zeros({2, 4}), chain.layers, false) ==
        "conv_batch_norms: shapes [2, 4] and [5, 15] do not fit");
  CHECK(fault(Tensor::zeros({2, 15}), {chain.layers[1]}, false) ==
        "conv_batch_norms: shapes [2, 15] and [3, 3, 15] do not fit");
  CHECK(fault(Tensor::zeros({0, 5}), {chain.layers[0]}, false) ==
        "conv_batch_norms: shapes [0, 5] and [5, 15] do not fit");
  CHECK(fault(Tensor::zeros({2, 5}), {chain.layers[0]}, true) ==
        "conv_batch_norms: shapes [2, 5] and [2, 15] do not fit");
  std::vector<ConvBatchNormLayer> wrong = chain.layers;
  wrong[1].stride = 0;
  CHECK(fault(chain.x, wrong, true) == "conv_batch_norms: stride 0 is not positive");
  wrong = chain.layers;
  wrong[2].state.gamma = Tensor::zeros({4});
  CHECK(fault(chain.x, wrong, true) == "conv_batch_norms: shapes [3, 9, 8, 5] and [4] do not fit");
}

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
