// Cases: what tests/kernels and bench/kernels do with every operation of kernels/ops.def. Each row
// of that file needs a function cases_<name>() in one of the *_cases.cc here; the linker names the
// one that is missing.
//
//   std::vector<Case> cases_add() {
//     std::vector<Case> cases;
//     for (const std::int64_t n : lengths())
//       cases.push_back(Case("n=" + std::to_string(n), {output(n), input(n), input(n)},
//                            [=](const auto& k, auto p) { k.add(p[0], p[1], p[2], n); })
//                           .aliases(0, 1));
//     return cases;
//   }
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/table.h"

namespace maskwatch::kernel_cases {

using kernels::Activation;
using kernels::ConvShape;
using kernels::GemmShape;
using kernels::PoolShape;
using kernels::RowShape;
using kernels::Table;

enum class Role {
  output,    // overwritten, compared
  input,     // must stay as it is
  in_place,  // read and overwritten, compared
  scratch,   // overwritten, not compared
};

enum class Fill {
  normal,         // mean 0, deviation 1
  positive,       // uniform in [0.5, 1.5)
  kinked,         // deviation 4, but never near 0 or 6, where relu6 has no derivative
  probabilities,  // rows of `row` numbers that sum to 1
  one_hot,        // rows of `row` numbers
  shifted,        // mean 100, deviation 1: cancellation
};

struct Operand {
  Role role;
  std::int64_t size;
  Fill fill = Fill::normal;
  std::int64_t row = 1;
};

inline Operand output(std::int64_t size) { return {Role::output, size}; }
inline Operand scratch(std::int64_t size) { return {Role::scratch, size}; }
inline Operand input(std::int64_t size, Fill fill = Fill::normal, std::int64_t row = 1) {
  return {Role::input, size, fill, row};
}
inline Operand in_place(std::int64_t size, Fill fill = Fill::normal) {
  return {Role::in_place, size, fill};
}

template <typename T>
using Run = std::function<void(const Table<T>&, T* const* operands)>;

// What a case says about derivatives: with L = Σ upstream · forward(inputs), operand `derivative`
// that the case computes is ∂L/∂ operand `variable`.
struct Gradient {
  int upstream;  // operand
  struct Pair {
    int derivative, variable;
  };
  std::vector<Pair> pairs;
  std::int64_t forward_size;
  std::function<void(const Table<double>&, double* y, double* const* operands)> forward;
};

struct Case {
  // body(const Table<T>& k, T* const* p): runs the operation of back end k on the operands, for
  // float and double.
  template <typename Body>
  Case(std::string case_label, std::vector<Operand> case_operands, const Body& body)
      : label(std::move(case_label)),
        operands(std::move(case_operands)),
        run_float([body](const Table<float>& k, float* const* p) { body(k, p); }),
        run_double([body](const Table<double>& k, double* const* p) { body(k, p); }) {}

  // Operand `in` may be the same memory as output `out`; tested both ways.
  Case&& aliases(int out, int in) && { return alias = {out, in}, std::move(*this); }
  // Roundings that add up in one number: the length of the sum, or a few for a formula.
  Case&& terms(double count) && { return rounding_terms = count, std::move(*this); }
  // The same shape of outputs from the absolute values of the inputs: Σ|a||b|. Without it the
  // tolerance is relative to each expected value.
  Case&& magnitude(Run<double> run) && { return magnitude_run = std::move(run), std::move(*this); }
  Case&& differentiates(Gradient g) && { return gradient = std::move(g), std::move(*this); }
  // Runs in bench/kernels and not in the tests.
  Case&& benchmark(double operations) && {
    return is_benchmark = true, flops = operations, std::move(*this);
  }

  std::string label;
  std::vector<Operand> operands;
  Run<float> run_float;
  Run<double> run_double;
  std::optional<std::pair<int, int>> alias;
  double rounding_terms = 1;
  Run<double> magnitude_run;
  std::optional<Gradient> gradient;
  bool is_benchmark = false;
  double flops = 0;
};

// Bytes that must pass through memory once.
double bytes_moved(const Case& c);

// Values to start from: random for what the operation reads, NaN for what it must overwrite.
std::vector<std::vector<float>> initial_values(const Case& c);

// 0 … 2N+1 for the widest vector, and one that takes more than one task of parallel_for.
std::vector<std::int64_t> lengths();

#define OP(name, parameters) std::vector<Case> cases_##name();
#include "kernels/ops.def"
#undef OP

struct Operation {
  std::string name;
  std::vector<Case> (*cases)();
};

// All rows of ops.def.
const std::vector<Operation>& operations();

}  // namespace maskwatch::kernel_cases
