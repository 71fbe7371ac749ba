// Every case of tests/kernels that is marked for the benchmark, on every back end: the reference
// and each vector target of this machine.
//
//   build/bench/kernels/bench_kernels [--threads=N] [--benchmark_filter=depthwise] [other options
//   of Google Benchmark]
//
// Columns: time; GFLOP/s and GB/s (bytes that must pass through memory once); the shares of the
// measured peak of fused multiply-adds and of memory bandwidth, in percent; the speed-up over the
// reference, where that ran too.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "kernels/machine.h"
#include "tests/kernels/cases.h"

using namespace maskwatch;

namespace {

using kernel_cases::Case;

struct Peaks {
  double gflops, memory_gbs;
};

// Operands of a case in aligned memory.
class Operands {
 public:
  explicit Operands(const Case& c) {
    for (const std::vector<float>& values : kernel_cases::initial_values(c)) {
      arrays_.push_back(hwy::AllocateAligned<float>(std::max<std::size_t>(values.size(), 1)));
      std::copy(values.begin(), values.end(), arrays_.back().get());
      pointers_.push_back(arrays_.back().get());
    }
  }

  float* const* data() const { return pointers_.data(); }

 private:
  std::vector<hwy::AlignedFreeUniquePtr<float[]>> arrays_;
  std::vector<float*> pointers_;
};

// The operands of the case that runs now: back ends of one case follow one another and share them.
const Operands& operands_of(const std::shared_ptr<const Case>& c) {
  static std::shared_ptr<const Case> current;
  static std::unique_ptr<Operands> operands;
  if (current != c) {
    operands.reset();
    operands = std::make_unique<Operands>(*c);
    current = c;
  }
  return *operands;
}

// Busy machines stretch a few rounds; the median tells what the operation costs.
double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void count(benchmark::State& state, const Case& c, const Peaks& peaks, double seconds,
           double reference_seconds) {
  const double gflops = c.flops / seconds / 1e9;
  const double gbs = kernel_cases::bytes_moved(c) / seconds / 1e9;
  state.counters["median ms"] = seconds * 1e3;
  state.counters["GFLOP/s"] = gflops;
  state.counters["GB/s"] = gbs;
  state.counters["% FMA"] = 100 * gflops / peaks.gflops;
  state.counters["% memory"] = 100 * gbs / peaks.memory_gbs;
  state.counters["x ref"] = reference_seconds / seconds;
}

void run(benchmark::State& state, const std::shared_ptr<const Case>& c,
         const kernels::Table<float>& table, const Peaks& peaks, bool is_reference) {
  static std::map<const Case*, double> reference_seconds;
  const Operands& operands = operands_of(c);
  const auto now = std::chrono::steady_clock::now;
  std::vector<double> seconds;
  for (auto _ : state) {
    const auto start = now();
    c->run_float(table, operands.data());
    benchmark::ClobberMemory();
    seconds.push_back(std::chrono::duration<double>(now() - start).count());
    state.SetIterationTime(seconds.back());
  }
  if (is_reference) reference_seconds[c.get()] = median(seconds);
  count(state, *c, peaks, median(seconds), reference_seconds[c.get()]);
}

// One line for each operation, case and back end.
class TableReporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    fmt::print("{:<64}", "operation/case/back end");
    for (const char* column : columns) fmt::print("{:>11}", column);
    fmt::print("\n");
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      fmt::print("{:<64}", run.run_name.function_name);
      for (const char* column : columns) fmt::print("{:>11.2f}", run.counters.at(column).value);
      fmt::print("\n");
      std::fflush(stdout);
    }
  }

 private:
  static constexpr std::array columns = {"median ms", "GFLOP/s",  "GB/s",
                                         "% FMA",     "% memory", "x ref"};
};

void register_case(const std::string& operation, const std::shared_ptr<const Case>& c,
                   const Peaks& peaks) {
  const auto add = [&](const std::string& name, const kernels::Table<float>& table) {
    const bool is_reference = name == "ref";
    auto* registered = benchmark::RegisterBenchmark(
        (operation + "/" + c->label + "/" + name).c_str(),
        [=, &table](benchmark::State& state) { run(state, c, table, peaks, is_reference); });
    registered->UseManualTime()->Unit(benchmark::kMillisecond);
    if (is_reference)
      registered->Iterations(1);
    else
      registered->MinTime(0.2);
  };
  add("ref", kernels::ref::table<float>());
  for (const std::string& target : kernels::targets()) add(target, kernels::cpu(target));
}

// Takes --threads=N out of the arguments.
void read_threads(int& argc, char** argv) {
  const std::string option = "--threads=";
  const auto is_option = [&](const char* argument) {
    if (std::string(argument).compare(0, option.size(), option) != 0) return false;
    set_threads(std::stoi(argument + option.size()));
    return true;
  };
  argc = static_cast<int>(std::remove_if(argv + 1, argv + argc, is_option) - argv);
}

}  // namespace

int main(int argc, char** argv) {
  read_threads(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;

  const Peaks peaks = {kernels::peak_gflops(), kernels::peak_memory_gbs()};
  fmt::print("{} threads; measured peaks: {:.1f} GFLOP/s of multiply-adds, {:.1f} GB/s of memory\n",
             threads(), peaks.gflops, peaks.memory_gbs);
  for (const kernel_cases::Operation& operation : kernel_cases::operations())
    for (const Case& c : operation.cases())
      if (c.is_benchmark) register_case(operation.name, std::make_shared<const Case>(c), peaks);
  TableReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
}
