#include "tests/kernels/expectation.h"

#include <cmath>
#include <limits>

#include "tests/check.h"

namespace maskwatch::kernel_cases {
namespace {

Values<double> tolerances(const Case& c, const Values<float>& initial,
                          const Values<double>& expected, double terms) {
  Values<double> magnitude = expected;
  if (c.magnitude_run) {
    magnitude = in_double(initial);
    for (auto& array : magnitude)
      for (double& x : array) x = std::abs(x);
    c.magnitude_run(kernels::ref::table<double>(), pointers(magnitude).data());
  }
  for (auto& array : magnitude)
    for (double& x : array)
      x = check::rounding_bound(terms, std::numeric_limits<float>::epsilon(), std::abs(x)) +
          std::numeric_limits<float>::min();
  return magnitude;
}

}  // namespace

Values<double> in_double(const Values<float>& values) {
  Values<double> result;
  for (const auto& array : values) result.emplace_back(array.begin(), array.end());
  return result;
}

Values<double> run_reference(const Case& c, const Values<float>& initial) {
  Values<double> values = in_double(initial);
  c.run_double(kernels::ref::table<double>(), pointers(values).data());
  return values;
}

Expectation expectation(const Case& c, double more_terms) {
  Expectation e{.initial = initial_values(c), .expected = {}, .tolerance = {}};
  e.expected = run_reference(c, e.initial);
  e.tolerance = tolerances(c, e.initial, e.expected, c.rounding_terms + more_terms);
  return e;
}

std::string difference(const Case& c, const Expectation& e, std::size_t i,
                       std::span<const float> values, bool aliased) {
  const bool overwritten = aliased && static_cast<int>(i) == c.alias->second;
  if (is_compared(c.operands[i]))
    return check::difference_by(values, std::span<const double>(e.expected[i]),
                                [&](std::size_t j) { return e.tolerance[i][j]; });
  if (c.operands[i].role == Role::input && !overwritten && !same_bytes(values, e.initial[i]))
    return "changed an input";
  return "";
}

}  // namespace maskwatch::kernel_cases
