// Up-sampling by 2 and its gradient, even and odd sizes.
#include "nn/ops/resize.h"

#include <doctest/doctest.h>

#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

TEST_CASE("each value is repeated; an odd size leaves the last repetition out") {
  const Tensor x = Tensor::from({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(upsample2x(x, 4, 4).values() == std::vector<float>{1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1,
                                                           2, 3, 4, 3, 4, 5, 6, 5, 6, 7, 8,
                                                           7, 8, 5, 6, 5, 6, 7, 8, 7, 8});
  CHECK(upsample2x(x, 3, 3).values() ==
        std::vector<float>{1, 2, 1, 2, 3, 4, 1, 2, 1, 2, 3, 4, 5, 6, 5, 6, 7, 8});
}

TEST_CASE("the gradient of a value is the sum of its repetitions': <Ux, y> = <x, U'y>") {
  for (const auto& [height, width] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{6, 4}, {5, 4}, {6, 3}, {5, 3}, {1, 1}}) {
    Tensor x = drawn({3, (height + 1) / 2, (width + 1) / 2, 5}, 1);
    x.set_requires_grad(true);
    const Tensor y = upsample2x(x, height, width), dy = drawn(y.shape(), 2);
    y.backward(dy);
    double forward = 0, backward = 0;
    for (std::int64_t i = 0; i < y.count(); ++i) forward += double{y.data()[i]} * dy.data()[i];
    for (std::int64_t i = 0; i < x.count(); ++i)
      backward += double{x.data()[i]} * x.grad().data()[i];
    CHECK(forward == doctest::Approx(backward).epsilon(1e-5));
  }
  Tensor x = Tensor::from({1, 1, 2, 1}, {0, 0});
  x.set_requires_grad(true);
  upsample2x(x, 2, 3).backward(Tensor::from({1, 2, 3, 1}, {1, 2, 4, 8, 16, 32}));
  CHECK(x.grad().values() == std::vector<float>{27, 36});
}

TEST_CASE("sizes that are not about twice as large are named") {
  const Tensor x = Tensor::zeros({1, 2, 2, 3});
  CHECK(message_of<std::invalid_argument>([&] { upsample2x(x, 5, 4); }) ==
        "upsample2x: [1, 2, 2, 3] to 5x4");
  CHECK_THROWS_AS(upsample2x(x, 4, 2), std::invalid_argument);
  CHECK_THROWS_AS(upsample2x(Tensor::zeros({2, 2}), 4, 4), std::invalid_argument);
}
