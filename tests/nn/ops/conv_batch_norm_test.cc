// conv_batch_norms() against the operations that it stands for.
#include "nn/ops/conv_batch_norm.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "nn/ops/conv.h"
#include "nn/ops/elementwise.h"
#include "nn/ops/linear.h"
#include "tests/check.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

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
