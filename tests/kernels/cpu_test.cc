// Which vector target runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "kernels/quantized.h"
#include "kernels/table.h"

using namespace maskwatch;

TEST_CASE("MASKWATCH_TARGET forces the target, and says so when it cannot") {
  const char* forced = std::getenv("MASKWATCH_TARGET");
  if (forced && !*forced) forced = nullptr;
  const std::vector<std::string> targets = kernels::targets();
  REQUIRE_FALSE(targets.empty());
  const std::string wanted = forced ? kernels::float_target_of(forced) : targets.front();
  if (std::find(targets.begin(), targets.end(), wanted) != targets.end()) {
    CHECK(kernels::target_name() == wanted);
    CHECK(kernels::quantized_target_name() ==
          (forced ? forced : kernels::quantized_targets().front()));
  } else {
    CHECK_THROWS_WITH_AS(kernels::cpu(), doctest::Contains(forced), std::runtime_error);
    for (const std::string& choice : kernels::target_choices())
      CHECK_THROWS_WITH_AS(kernels::cpu(), doctest::Contains(choice.c_str()), std::runtime_error);
    return;
  }
  CHECK(&kernels::cpu() == &kernels::cpu(kernels::target_name()));
}

TEST_CASE("each target has functions of its own") {
  const std::vector<std::string> targets = kernels::targets();
  for (std::size_t i = 1; i < targets.size(); ++i)
    CHECK((kernels::cpu(targets[0]).gemm != kernels::cpu(targets[i]).gemm));
}

TEST_CASE("a target that does not exist is refused by name") {
  CHECK_THROWS_WITH_AS(kernels::cpu("AVX9"), doctest::Contains("AVX9"), std::invalid_argument);
}
