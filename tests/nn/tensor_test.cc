#include "nn/tensor.h"

#include <doctest/doctest.h>

#include "nn/memory.h"
#include "nn/ops.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;
using Floats = std::vector<float>;

namespace {

Tensor variable(const Floats& values) {
  Tensor tensor = Tensor::from({static_cast<std::int64_t>(values.size())}, values);
  return tensor.set_requires_grad(true);
}

const Tensor& ones(std::int64_t count) {
  static Tensor tensor;
  return tensor = Tensor::full({count}, 1);
}

}  // namespace

TEST_CASE("a tensor is a handle: copies share numbers, clones do not") {
  const Tensor a = Tensor::from({2, 2}, {1, 2, 3, 4});
  const Tensor same = a, other = a.clone();
  a.data()[0] = 9;
  CHECK(same.values() == Floats{9, 2, 3, 4});
  CHECK(other.values() == Floats{1, 2, 3, 4});
  CHECK(same.is(a));
  CHECK_FALSE(other.is(a));
  CHECK(a.reshaped({4}).values() == Floats{9, 2, 3, 4});
  CHECK(a.dim(-1) == 2);
}

TEST_CASE("wrong uses of a tensor are named") {
  const Tensor a = Tensor::zeros({2, 3});
  using Fault = std::invalid_argument;
  CHECK(contains(message_of<Fault>([] { Tensor().shape(); }), "before it was given values"));
  CHECK(contains(message_of<Fault>([] { Tensor().data(); }), "before it was given values"));
  CHECK(contains(message_of<Fault>([] { Tensor::empty({2, -1}); }), "[2, -1]"));
  CHECK(contains(message_of<Fault>([] {
                   Tensor::from({2, 2}, {1});
                 }),
                 "1 values for shape [2, 2]"));
  CHECK(contains(message_of<Fault>([&] { a.item(); }), "[2, 3]"));
  CHECK(contains(message_of<Fault>([&] { a.dim(2); }), "axis 2 of shape [2, 3]"));
  CHECK(contains(message_of<Fault>([&] { a.reshaped({5}); }), "[2, 3] to [5]"));
  CHECK(contains(message_of<Fault>([&] { a.copy_from(Tensor::zeros({6})); }), "[6] into [2, 3]"));
  CHECK(contains(message_of<Fault>([&] { a.backward(); }), "[2, 3] is not one value"));
  Tensor x = variable({1, 2});
  CHECK(contains(message_of<Fault>([&] { relu(x).backward(Tensor::zeros({3})); }),
                 "gradient [3] of a tensor [2]"));
}

TEST_CASE("gradients accumulate until zero_grad") {
  Tensor x = variable({1, -2, 3});
  CHECK_FALSE(x.grad().defined());
  relu(x).backward(Tensor::from({3}, {5, 5, 5}));
  CHECK(x.grad().values() == Floats{5, 0, 5});
  relu(x).backward(Tensor::from({3}, {1, 1, 2}));
  CHECK(x.grad().values() == Floats{6, 0, 7});
  x.zero_grad();
  CHECK_FALSE(x.grad().defined());
  relu(x).backward(ones(3));
  CHECK(x.grad().values() == Floats{1, 0, 1});
}

TEST_CASE("a tensor used twice by one operation takes both gradients") {
  Tensor x = variable({1, -2});
  add(x, x).backward(Tensor::from({2}, {3, 4}));
  CHECK(x.grad().values() == Floats{6, 8});
}

TEST_CASE("a diamond: what two paths share is gone through once, after both") {
  // y = relu(x); z = (y + relu6(y)) + y: dz/dx = 3 between 0 and 6, 2 above, 0 below.
  Tensor x = variable({1, -1, 7});
  const Tensor y = relu(x);
  add(add(y, relu6(y)), y).backward(ones(3));
  CHECK(x.grad().values() == Floats{3, 0, 2});
}

TEST_CASE("the gradient given to backward is not written to by later sums") {
  // add() hands one gradient to both inputs; b then takes a second one.
  Tensor a = variable({1, 1}), b = variable({1, 1});
  const Tensor upstream = Tensor::from({2}, {1, 2});
  add(add(a, b), b).backward(upstream);
  CHECK(a.grad().values() == Floats{1, 2});
  CHECK(b.grad().values() == Floats{2, 4});
  CHECK(upstream.values() == Floats{1, 2});
}

TEST_CASE("history serves once") {
  Tensor x = variable({2});
  const Tensor y = relu(x);
  const Tensor loss = add(y, y);
  loss.backward();
  CHECK(x.grad().values() == Floats{2});
  const auto twice = message_of<std::invalid_argument>([&] { loss.backward(); });
  CHECK(contains(twice, "freed by an earlier backward"));
  // Another result through the same y would lose what y passes on to x.
  const Tensor other = relu(y);
  CHECK(contains(message_of<std::invalid_argument>([&] { other.backward(); }), "freed"));
  CHECK(x.grad().values() == Floats{2});
}

TEST_CASE("a scalar that depends on nothing trained has no gradient to give") {
  const Tensor x = Tensor::from({1}, {2});
  CHECK(contains(message_of<std::invalid_argument>([&] { relu(x).backward(); }),
                 "nothing here requires a gradient"));
}

TEST_CASE("a reshaped tensor shares its values and passes its gradient on") {
  Tensor x = drawn({2, 3, 4}, 1);
  x.set_requires_grad(true);
  const Tensor weight = drawn({12, 5}, 2), upstream = drawn({2, 5}, 3);
  const auto sum = [&] {
    const Tensor y = matmul(x.reshaped({2, 12}), weight);
    double total = 0;
    for (std::int64_t i = 0; i < y.count(); ++i) total += double{y.data()[i]} * upstream.data()[i];
    return total;
  };
  CHECK(x.reshaped({2, 12}).data() == x.data());
  matmul(x.reshaped({2, 12}), weight).backward(upstream);
  REQUIRE(x.grad().defined());
  REQUIRE(x.grad().shape() == x.shape());
  for (std::int64_t i = 0; i < x.count(); ++i) {
    const float before = x.data()[i];
    double sums[2];
    for (const int side : {0, 1}) {
      x.data()[i] = before + (side ? 0.0625f : -0.0625f);
      sums[side] = sum();
    }
    x.data()[i] = before;
    CHECK((sums[1] - sums[0]) / 0.125 == doctest::Approx(x.grad().data()[i]).epsilon(1e-4));
  }
}

TEST_CASE("a reshaped tensor and its original both pass their gradients on") {
  Tensor x = variable({1, -2, 3, -4});
  const Tensor rows = x.reshaped({2, 2});
  add(relu(x), relu6(rows).reshaped({4})).backward(Tensor::from({4}, {1, 2, 3, 4}));
  CHECK(x.grad().values() == Floats{2, 0, 6, 0});
  CHECK(x.grad().shape() == Shape{4});
  CHECK_FALSE(Tensor::zeros({4}).reshaped({2, 2}).requires_grad());
}

TEST_CASE("a detached tensor passes nothing on") {
  Tensor x = variable({3, 4});
  const Tensor y = relu(x);
  CHECK_FALSE(y.detach().requires_grad());
  CHECK(y.detach().data() == y.data());
  add(relu(y.detach()), x).backward(ones(2));
  CHECK(x.grad().values() == Floats{1, 1});
}

TEST_CASE("results between keep no gradient, the start of backward does") {
  Tensor x = variable({3});
  const Tensor y = relu(x), z = relu(y);
  z.backward();
  CHECK_FALSE(y.grad().defined());
  CHECK(z.grad().values() == Floats{1});
}

TEST_CASE("frozen inputs leave no history, and nothing stays in memory") {
  const Tensor x = drawn({8, 64}, 1), weight = drawn({64, 64}, 2);
  const std::size_t before = memory_use().live;
  Tensor y = relu(matmul(x, weight));
  CHECK_FALSE(y.requires_grad());
  CHECK(memory_use().live == before + 8 * 64 * sizeof(float));  // y alone: matmul's result is gone
  int calls = 0;
  y.record({x, weight}, [&](const Tensor&) { ++calls; });
  CHECK_FALSE(y.requires_grad());
  y = Tensor();
  CHECK(memory_use().live == before);
}

TEST_CASE("only what is needed is differentiated") {
  const Tensor x = drawn({2, 3}, 1);
  Tensor weight = drawn({3, 2}, 2);
  weight.set_requires_grad(true);
  matmul(x, weight).backward(Tensor::full({2, 2}, 1));
  CHECK(weight.grad().defined());
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("history is freed by backward, not at the end of the scope") {
  Tensor x = drawn({1024}, 3);
  x.set_requires_grad(true);
  const std::size_t before = memory_use().live;
  Tensor y = relu(relu(relu(x)));
  CHECK(memory_use().live == before + 3 * 4096);
  y.backward(Tensor::full({1024}, 1));
  CHECK(memory_use().live == before + 3 * 4096);  // y, its gradient and the gradient of x
}
