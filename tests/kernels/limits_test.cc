// Numbers at the limits of float, on every target and on the reference: losses of finite logits
// stay finite, and a NaN stays one behind an activation, as in PyTorch.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/table.h"

using namespace maskwatch;

namespace {

template <typename Body>
void for_tables(const Body& body) {
  body("reference", kernels::ref::table<float>());
  for (const std::string& target : kernels::targets()) body(target, kernels::cpu(target));
}

}  // namespace

TEST_CASE("cross-entropy of huge logits is finite") {
  for_tables([](const std::string& name, const kernels::Table<float>& table) {
    CAPTURE(name);
    const float huge = 3e38f;
    for (const bool swapped : {false, true}) {
      const std::vector<float> logits = {swapped ? -huge : huge, swapped ? huge : -huge};
      const std::vector<float> targets = {1, 0};
      float loss = -1;
      table.softmax_cross_entropy(&loss, logits.data(), targets.data(), {1, 2});
      CHECK(std::isfinite(loss));
      CHECK((swapped ? loss > 1e38f : loss == 0));
      std::vector<float> gradient(2);
      const float one = 1;
      table.softmax_cross_entropy_backward(gradient.data(), &one, logits.data(), targets.data(),
                                           {1, 2});
      CHECK(gradient[0] == (swapped ? -1.0f : 0.0f));
      CHECK(gradient[1] == (swapped ? 1.0f : 0.0f));
    }
  });
}

TEST_CASE("a NaN passes through activations") {
  for_tables([](const std::string& name, const kernels::Table<float>& table) {
    CAPTURE(name);
    // Longer than any vector, and a rest.
    std::vector<float> x(67, -1.0f), y(x.size());
    x[0] = x[40] = x[66] = std::numeric_limits<float>::quiet_NaN();
    const float zero = 0, one = 1;
    const auto rows = static_cast<std::int64_t>(x.size());
    const auto norm = [&](kernels::Activation activation) {
      table.batch_norm(y.data(), x.data(), &zero, &one, &one, &zero, 0, activation, {rows, 1});
    };
    const std::function<void()> runs[] = {[&] { table.relu(y.data(), x.data(), rows); },
                                          [&] { table.relu6(y.data(), x.data(), rows); },
                                          [&] { norm(kernels::Activation::relu); },
                                          [&] { norm(kernels::Activation::relu6); }};
    for (const auto& run : runs) {
      run();
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (std::isnan(x[i]))
          CHECK(std::isnan(y[i]));
        else
          CHECK(y[i] == 0);
      }
    }
  });
}
