// What the reference in float cannot promise and the tuned statistics do: accuracy over very many
// rows.
#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "kernels/table.h"
#include "tests/check.h"

using namespace maskwatch;

TEST_CASE("statistics of 200000 rows far from zero keep their digits") {
  constexpr kernels::RowShape shape = {200'000, 5};
  std::mt19937 random(1);
  std::normal_distribution<float> normal(1000, 1);
  std::vector<float> x(shape.rows * shape.channels);
  for (float& value : x) value = normal(random);
  std::vector<double> mean(shape.channels), variance(shape.channels);
  const std::vector<double> wide(x.begin(), x.end());
  kernels::ref::table<double>().batch_norm_statistics(mean.data(), variance.data(), wide.data(),
                                                      shape);
  for (const std::string& target : kernels::targets()) {
    INFO("target " << target);
    std::vector<float> our_mean(shape.channels), our_variance(shape.channels);
    kernels::cpu(target).batch_norm_statistics(our_mean.data(), our_variance.data(), x.data(),
                                               shape);
    CHECK(check::difference(our_mean, mean, {.relative = 1e-7}) == "");
    CHECK(check::difference(our_variance, variance, {.relative = 1e-6}) == "");
  }
}

TEST_CASE("statistics of a constant are that constant and zero") {
  constexpr kernels::RowShape shape = {70'000, 3};
  const std::vector<float> x(shape.rows * shape.channels, 0.1f);
  for (const std::string& target : kernels::targets()) {
    INFO("target " << target);
    std::vector<float> mean(shape.channels), variance(shape.channels);
    kernels::cpu(target).batch_norm_statistics(mean.data(), variance.data(), x.data(), shape);
    CHECK(check::difference(mean, std::vector<double>(3, double{0.1f}), {}) == "");
    CHECK(check::difference(variance, std::vector<double>(3, 0.0), {.absolute = 1e-14}) == "");
  }
}
