#include "vision/masks/assignment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>
#include <vector>

#include "base/random.h"

using namespace maskwatch;

namespace {

double cost_of(const std::vector<double>& costs, int columns, const std::vector<int>& chosen) {
  double sum = 0;
  for (std::size_t row = 0; row < chosen.size(); ++row)
    sum += costs[row * static_cast<std::size_t>(columns) + static_cast<std::size_t>(chosen[row])];
  return sum;
}

double cheapest_by_trying(const std::vector<double>& costs, int rows, int columns) {
  std::vector<int> order(static_cast<std::size_t>(columns));
  std::iota(order.begin(), order.end(), 0);
  double best = 1e300;
  do {
    best = std::min(best, cost_of(costs, columns, {order.begin(), order.begin() + rows}));
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

}  // namespace

TEST_CASE("cheapest_assignment finds what trying all pairings finds") {
  Random random({1});
  for (int i = 0; i < 300; ++i) {
    const int rows = random.below(5), columns = rows + random.below(3);
    std::vector<double> costs(static_cast<std::size_t>(rows * columns));
    for (double& cost : costs) cost = i % 2 ? random.below(4) : random.uniform(-5, 5);
    const auto chosen = vision::cheapest_assignment(costs, rows, columns);
    REQUIRE(std::set(chosen.begin(), chosen.end()).size() == chosen.size());
    CHECK(cost_of(costs, columns, chosen) ==
          doctest::Approx(columns ? cheapest_by_trying(costs, rows, columns) : 0));
  }
  CHECK_THROWS_AS(vision::cheapest_assignment(std::vector<double>(6), 3, 2), std::invalid_argument);
  CHECK_THROWS_AS(vision::cheapest_assignment(std::vector<double>(5), 2, 3), std::invalid_argument);
  CHECK_THROWS_AS(vision::cheapest_assignment(std::vector<double>{NAN}, 1, 1),
                  std::invalid_argument);
}
