#include "tests/check.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <vector>

#include "tests/shared_data.h"

using namespace maskwatch;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
const std::vector<double> expected = {1, -2, 3};

bool accepts(const std::vector<float>& actual, check::Tolerance tolerance = {1e-6, 1e-6}) {
  return check::difference(actual, expected, tolerance).empty();
}

}  // namespace

TEST_CASE("the comparator accepts what lies within the tolerance, and no more") {
  CHECK(accepts({1, -2, 3}, {}));
  CHECK(accepts({1.09f, -2.09f, 2.91f}, {.absolute = 0.1}));
  CHECK_FALSE(accepts({1, -2, 3.11f}, {.absolute = 0.1}));
  CHECK(accepts({1, -2.19f, 3}, {.relative = 0.1}));
  CHECK_FALSE(accepts({1.11f, -2, 3}, {.relative = 0.1}));
  CHECK(check::difference(std::vector<float>{-0.0f}, std::vector<double>{0.0}, {}).empty());
}

TEST_CASE("the comparator refuses NaN, infinities and sign flips") {
  CHECK_FALSE(accepts({1, not_a_number, 3}, {1e30, 1e30}));
  CHECK_FALSE(accepts({1, infinity, 3}, {1e30, 1e30}));
  CHECK_FALSE(accepts({1, -infinity, 3}, {1e30, 1e30}));
  CHECK_FALSE(accepts({1, 2, 3}));
  const std::vector<double> undefined = {not_a_number}, infinite = {infinity};
  CHECK_FALSE(check::difference(std::vector<float>{not_a_number}, undefined, {1, 1}).empty());
  CHECK_FALSE(check::difference(std::vector<float>{1}, undefined, {1, 1}).empty());
  CHECK_FALSE(check::difference(std::vector<float>{1}, infinite, {1, 1}).empty());
  CHECK_FALSE(check::difference(std::vector<float>{-infinity}, infinite, {1, 1}).empty());
  CHECK(check::difference(std::vector<float>{infinity}, infinite, {}).empty());
  CHECK_FALSE(accepts({1.5f, -2, 3}, {not_a_number, not_a_number}));
}

TEST_CASE("the comparator refuses other sizes and neighbours' values") {
  CHECK_FALSE(accepts({1, -2}));
  CHECK_FALSE(accepts({1, -2, 3, 0}));
  CHECK_FALSE(accepts({}));
  CHECK_FALSE(accepts({-2, 3, 1}));
  CHECK_FALSE(accepts({3, 1, -2}));
}

TEST_CASE("the comparator names the first element that differs, and how many") {
  const std::array<float, 3> actual = {1, -2.5f, 4};
  CHECK(check::difference(actual, expected, {}) == "[1] is -2.5, expected -2 ± 0 (2 of 3 differ)");
  CHECK(check::difference(std::vector<double>{}, expected, {}) == "size 0, expected 3");
}

TEST_CASE("the rounding bound grows with terms, roundoff and magnitude") {
  CHECK(check::rounding_bound(10, 1e-7, 3) == doctest::Approx(4 * 10 * 1e-7 * 3));
}

TEST_CASE("shared data that is not there is not found") {
  CHECK_FALSE(shared_data("no such file").has_value());
}
