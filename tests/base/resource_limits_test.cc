// Limits that the environment sets: what it may say and what is said of it.
#include "base/resource_limits.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <stdexcept>

using namespace maskwatch;

TEST_CASE("a limit is the usual one, or what its variable says") {
  constexpr Limit limit{"MASKWATCH_TEST_LIMIT", 30, 100, "spoons"};
  CHECK(value_of(limit) == 30);
  CHECK(over(limit) == "over the limit of 30 spoons (MASKWATCH_TEST_LIMIT sets it)");
  setenv(limit.variable, "", 1);
  CHECK(value_of(limit) == 30);
  setenv(limit.variable, "100", 1);
  CHECK(value_of(limit) == 100);
  for (const char* wrong : {"0", "101", "-1", "7x", "7 ", "1e1", "99999999999999999999"}) {
    setenv(limit.variable, wrong, 1);
    CHECK_THROWS_AS(value_of(limit), std::runtime_error);
  }
  unsetenv(limit.variable);
}
