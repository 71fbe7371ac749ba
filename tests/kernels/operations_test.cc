// Every row of kernels/ops.def, in three ways: the reference's gradients against finite
// differences, every back end against the reference in double, and the same bytes for any number of
// threads.
#include <doctest/doctest.h>

#include <cstdlib>

#include "base/parallel.h"
#include "tests/check.h"
#include "tests/kernels/cases.h"
#include "tests/kernels/expectation.h"
#include "tests/kernels/guarded.h"

namespace maskwatch::kernel_cases {
namespace {

// --- Rung 1 ---

double weighted_output(const Gradient& g, Values<double>& values) {
  std::vector<double> y(g.forward_size);
  g.forward(kernels::ref::table<double>(), y.data(), pointers(values).data());
  double sum = 0;
  for (std::int64_t i = 0; i < g.forward_size; ++i) sum += values[g.upstream][i] * y[i];
  return sum;
}

std::vector<double> central_differences(const Gradient& g, int variable, Values<double> values) {
  constexpr double step = 1e-5;
  std::vector<double> result;
  for (std::size_t i = 0; i < values[variable].size(); ++i) {
    double& x = values[variable][i];
    const double start = x;
    x = start + step;
    const double above = weighted_output(g, values);
    x = start - step;
    const double below = weighted_output(g, values);
    x = start;
    result.push_back((above - below) / (2 * step));
  }
  return result;
}

void check_gradient(const Case& c) {
  INFO("case " << c.label);
  const Values<float> initial = initial_values(c);
  const Values<double> computed = run_reference(c, initial);
  for (const Gradient::Pair& pair : c.gradient->pairs) {
    INFO("operand " << pair.derivative);
    const auto expected = central_differences(*c.gradient, pair.variable, in_double(initial));
    double largest = 1e-3;
    for (const double x : expected) largest = std::max(largest, std::abs(x));
    CHECK(check::difference(computed[pair.derivative], expected, {.absolute = 1e-6 * largest}) ==
          "");
  }
}

void check_gradients(const std::string& name, const std::vector<Case>& cases) {
  bool any = false;
  for (const Case& c : cases) {
    if (!c.gradient || c.is_benchmark) continue;
    any = true;
    check_gradient(c);
  }
  const bool is_gradient = name.find("_backward") != std::string::npos;
  CHECK_MESSAGE((any || !is_gradient), name << " needs a case that differentiates its forward");
}

// --- Rung 2 ---

struct BackEnd {
  std::string name;
  const Table<float>* table;
};

// The reference in float and every vector target, or the one that is forced.
std::vector<BackEnd> back_ends() {
  std::vector<BackEnd> all = {{"ref", &kernels::ref::table<float>()}};
  const char* forced = std::getenv("MASKWATCH_TARGET");
  const auto targets = forced ? std::vector{kernels::target_name()} : kernels::targets();
  for (const std::string& target : targets) all.push_back({target, &kernels::cpu(target)});
  return all;
}

class GuardedRun {
 public:
  GuardedRun(const Values<float>& initial, Placement placement) {
    for (const auto& array : initial) arrays_.emplace_back(std::span(array), placement);
    for (const auto& array : arrays_) pointers_.push_back(array.data());
  }

  // Output `alias->first` becomes the memory of operand `alias->second`.
  void alias(const Case& c) { pointers_[c.alias->first] = pointers_[c.alias->second]; }

  void run(const Case& c, const Table<float>& table) { c.run_float(table, pointers_.data()); }

  std::span<const float> values(std::size_t operand) const {
    return {pointers_[operand], arrays_[operand].values().size()};
  }

  bool intact() const {
    return std::all_of(arrays_.begin(), arrays_.end(), [](const auto& a) { return a.intact(); });
  }

 private:
  std::vector<Guarded<float>> arrays_;
  std::vector<float*> pointers_;
};

void check_values(const Case& c, const Expectation& e, const GuardedRun& run, bool aliased) {
  CHECK_MESSAGE(run.intact(), "wrote outside its operands");
  for (std::size_t i = 0; i < c.operands.size(); ++i) {
    INFO("operand " << i);
    CHECK(difference(c, e, i, run.values(i), aliased) == "");
  }
}

void check_back_end(const Case& c, const Expectation& e, const Table<float>& table) {
  for (const Placement placement :
       {Placement::page_start, Placement::page_end, Placement::misaligned}) {
    INFO("placement " << static_cast<int>(placement));
    for (const bool aliased : {false, true}) {
      if (aliased && !c.alias) continue;
      INFO("aliased " << aliased);
      GuardedRun run(e.initial, placement);
      if (aliased) run.alias(c);
      run.run(c, table);
      check_values(c, e, run, aliased);
    }
  }
}

// On one thread, for speed: check_threads shows that more give the same.
void check_back_ends(const std::vector<Case>& cases) {
  set_threads(1);
  int checked = 0;
  for (const Case& c : cases) {
    if (c.is_benchmark) continue;
    ++checked;
    INFO("case " << c.label);
    const Expectation e = expectation(c);
    for (const BackEnd& back_end : back_ends()) {
      INFO("back end " << back_end.name);
      check_back_end(c, e, *back_end.table);
    }
  }
  set_threads(0);
  CHECK(checked > 0);
}

// --- Threads ---

Values<float> run_with_threads(const Case& c, const Table<float>& table, int threads) {
  Values<float> values = initial_values(c);
  set_threads(threads);
  c.run_float(table, pointers(values).data());
  set_threads(0);
  return values;
}

void check_threads(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    if (c.is_benchmark) continue;
    INFO("case " << c.label);
    for (const BackEnd& back_end : back_ends()) {
      if (back_end.name == "ref") continue;
      INFO("back end " << back_end.name);
      const Values<float> alone = run_with_threads(c, *back_end.table, 1);
      for (const int threads : {2, 3}) {
        const Values<float> together = run_with_threads(c, *back_end.table, threads);
        for (std::size_t i = 0; i < alone.size(); ++i)
          if (is_compared(c.operands[i])) CHECK(same_bytes(alone[i], together[i]));
      }
    }
  }
}

}  // namespace

#define OP(name, parameters)                                                      \
  TEST_CASE(#name ": gradients of the reference agree with finite differences") { \
    check_gradients(#name, cases_##name());                                       \
  }                                                                               \
  TEST_CASE(#name ": every back end agrees with the reference in double") {       \
    check_back_ends(cases_##name());                                              \
  }                                                                               \
  TEST_CASE(#name ": bytes do not depend on the number of threads") {             \
    check_threads(cases_##name());                                                \
  }
#include "kernels/ops.def"
#undef OP

}  // namespace maskwatch::kernel_cases
