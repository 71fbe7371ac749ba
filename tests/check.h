// The one comparator of the tests: numbers that we computed against expectations in double.
//
//   CHECK(check::difference(actual, expected, {.absolute = 1e-6, .relative = 1e-5}) == "");
//
// Arguments are vectors, arrays or spans. The answer is empty when every element agrees, else it
// names the first element that does not. NaN agrees with nothing, not even NaN; an infinity only
// with itself.
#pragma once

#include <cmath>
#include <cstddef>
#include <iomanip>
#include <limits>
#include <span>
#include <sstream>
#include <string>

namespace maskwatch::check {

// |actual - expected| <= absolute + relative · |expected|
struct Tolerance {
  double absolute = 0;
  double relative = 0;
};

// Bound for a sum of `terms` products in arithmetic with unit roundoff `epsilon`, where `magnitude`
// is Σ|a||b| (Higham, Accuracy and Stability of Numerical Algorithms, 3.1): c · K · eps · Σ|a||b|.
inline double rounding_bound(double terms, double epsilon, double magnitude) {
  constexpr double slack = 4;
  return slack * terms * epsilon * magnitude;
}

inline bool agrees(double actual, double expected, double tolerance) {
  if (std::isinf(actual) || std::isinf(expected)) return actual == expected;
  return std::abs(actual - expected) <= tolerance;  // false when either is NaN
}

// tolerance_of(i) is the allowed distance at element i.
template <typename T, typename ToleranceOf>
std::string difference_by(std::span<const T> actual, std::span<const double> expected,
                          const ToleranceOf& tolerance_of) {
  std::ostringstream message;
  message << std::setprecision(std::numeric_limits<double>::max_digits10);
  if (actual.size() != expected.size()) {
    message << "size " << actual.size() << ", expected " << expected.size();
    return message.str();
  }
  std::size_t bad = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double tolerance = tolerance_of(i);
    if (agrees(static_cast<double>(actual[i]), expected[i], tolerance)) continue;
    if (bad++ == 0)
      message << "[" << i << "] is " << actual[i] << ", expected " << expected[i] << " ± "
              << tolerance;
  }
  if (bad > 0) message << " (" << bad << " of " << actual.size() << " differ)";
  return message.str();
}

template <typename Actual, typename Expected>
std::string difference(const Actual& actual, const Expected& expected, Tolerance tolerance) {
  const std::span<const double> wanted(expected);
  return difference_by(std::span(std::data(actual), std::size(actual)), wanted, [&](std::size_t i) {
    return tolerance.absolute + tolerance.relative * std::abs(wanted[i]);
  });
}

}  // namespace maskwatch::check
