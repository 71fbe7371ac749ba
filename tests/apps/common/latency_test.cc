// Quantiles of latencies.
#include "apps/common/latency.h"

#include <doctest/doctest.h>

using namespace maskwatch;

TEST_CASE("latencies: quantiles to a hundredth") {
  apps::Latency latency;
  CHECK(latency.median() == 0);
  for (int i = 1; i <= 1000; ++i) latency.add(i * 1e-4);
  CHECK(latency.count() == 1000);
  CHECK(latency.median() == doctest::Approx(.05).epsilon(.012));
  CHECK(latency.quantile(.99) == doctest::Approx(.099).epsilon(.012));
  CHECK(latency.quantile(1) == doctest::Approx(.1).epsilon(.012));
  CHECK(latency.longest() == .1);
  CHECK(latency.sum() == doctest::Approx(50.05));
  CHECK(latency.recent() == doctest::Approx(.099).epsilon(.02));
  for (const double odd : {0., -1., 1e9}) latency.add(odd);
  CHECK(latency.quantile(1) > 1000);
}
