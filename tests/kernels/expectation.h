// What a case must give: the reference in double, and how far from it rounding may lead.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "tests/kernels/cases.h"

namespace maskwatch::kernel_cases {

template <typename T>
using Values = std::vector<std::vector<T>>;

struct Expectation {
  Values<float> initial;
  Values<double> expected;
  Values<double> tolerance;
};

// `more_terms`: roundings on top of the case's own.
Expectation expectation(const Case& c, double more_terms = 0);

// Empty where operand `i` of a run is as expected, or as it was if it is an input; else what is
// wrong. `aliased`: the output of the case's alias lay in the input's memory.
std::string difference(const Case& c, const Expectation& e, std::size_t i,
                       std::span<const float> values, bool aliased);

Values<double> in_double(const Values<float>& values);
// The reference in double on these numbers.
Values<double> run_reference(const Case& c, const Values<float>& initial);

template <typename T>
std::vector<T*> pointers(Values<T>& values) {
  std::vector<T*> result;
  for (auto& array : values) result.push_back(array.data());
  return result;
}

inline bool is_compared(const Operand& operand) {
  return operand.role == Role::output || operand.role == Role::in_place;
}

inline bool same_bytes(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

}  // namespace maskwatch::kernel_cases
