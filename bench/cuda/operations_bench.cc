// What a GPU takes for every benchmark case of tests/kernels, beside what a copy of as many bytes
// and an empty kernel cost it.
//
//   build/bench/cuda/bench_operations [--device cuda:0] [--filter depthwise] [--seconds 0.1]
//
// Columns: time of one call in microseconds (the median of several rounds of queued calls), GB/s
// (bytes that must pass through memory once), GFLOP/s, and the share of the copy's bandwidth in
// percent.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/common/options.h"
#include "apps/common/program.h"
#include "cuda/open_device.h"
#include "kernels/device.h"
#include "tests/kernels/cases.h"

#if MASKWATCH_SIMT
#include "cuda/host/simt_device.h"
#endif

using namespace maskwatch;

namespace {

using kernel_cases::Case;
using kernels::Device;

struct Options {
  std::string device = "cuda:0", filter;
  double seconds = 0.1;
};

Device& device_of(const std::string& name) {
#if MASKWATCH_SIMT
  if (name == "simt") return simt::device();
#endif
  return cuda::open_device(name);
}

class Operands {
 public:
  Operands(Device& device, const Case& c) : device_(device) {
    for (const std::vector<float>& values : kernel_cases::initial_values(c)) {
      const std::size_t bytes = values.size() * sizeof(float);
      auto* memory = static_cast<float*>(device.allocate(bytes));
      if (!memory) throw std::runtime_error(device.name() + ": too little memory for " + c.label);
      pointers_.push_back(memory);
      device.copy_in(memory, values.data(), bytes);
    }
    device.synchronize();
  }
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;
  ~Operands() {
    for (float* memory : pointers_) device_.release(memory);
  }

  float* const* data() const { return pointers_.data(); }

 private:
  Device& device_;
  std::vector<float*> pointers_;
};

double seconds_of(Device& device, const std::function<void()>& call, std::int64_t calls) {
  device.synchronize();
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < calls; ++i) call();
  device.synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of one call: the median of rounds that share out `seconds` and are long beside what waiting
// costs.
double time_of(Device& device, double seconds, const std::function<void()>& call) {
  constexpr int rounds = 5;
  std::int64_t calls = 1;
  for (double took = seconds_of(device, call, calls); took < seconds / rounds / 2;
       took = seconds_of(device, call, calls))
    calls *= 2;
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round)
    times.push_back(seconds_of(device, call, calls) / static_cast<double>(calls));
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[rounds / 2];
}

// Bytes a second that a large copy reads and writes.
double copy_bandwidth(Device& device, double seconds) {
  constexpr std::size_t bytes = std::size_t{256} << 20;
  void* const from = device.allocate(bytes);
  void* const to = device.allocate(bytes);
  if (!from || !to) throw std::runtime_error(device.name() + ": no 512 MiB of memory for a copy");
  device.fill_zero(from, bytes);
  const double time = time_of(device, seconds, [&] { device.copy(to, from, bytes); });
  device.release(from);
  device.release(to);
  return 2.0 * static_cast<double>(bytes) / time;
}

// Of a kernel that does next to nothing, queued one by one, and as one of many in a recording.
void print_launch_cost(Device& device, double seconds) {
  constexpr int launches = 100;
  auto* const number = static_cast<float*>(device.allocate(sizeof(float)));
  device.fill_zero(number, sizeof(float));
  const auto launch = [&] { device.table().relu(number, number, 1); };
  const double alone = time_of(device, seconds, launch);
  const auto recorded = device.record([&] {
    for (int i = 0; i < launches; ++i) launch();
  });
  const double together =
      recorded ? time_of(device, seconds, [&] { recorded->run(); }) / launches : alone;
  device.release(number);
  fmt::print("A kernel's launch: {:.2f} µs alone, {:.2f} µs in a recording of {}\n\n", 1e6 * alone,
             1e6 * together, launches);
}

void print_case(Device& device, const Options& options, const std::string& operation, const Case& c,
                double bandwidth) {
  const Operands operands(device, c);
  const double seconds =
      time_of(device, options.seconds, [&] { c.run_float(device.table(), operands.data()); });
  const double moved = kernel_cases::bytes_moved(c) / seconds;
  fmt::print("| {} | {} | {:.1f} | {:.0f} | {:.0f} | {:.0f} |\n", operation, c.label, 1e6 * seconds,
             moved / 1e9, c.flops / seconds / 1e9, 100 * moved / bandwidth);
  std::fflush(stdout);
}

bool is_there(const Device& device, const std::string& operation) {
#define OP(name, parameters) \
  if (operation == #name) return device.table().name != nullptr;
#include "kernels/ops.def"
#undef OP
  return false;
}

int measure(const Options& options) {
  const auto& all = kernel_cases::operations();
  const auto is_wanted = [&](const kernel_cases::Operation& operation) {
    return operation.name.find(options.filter) != std::string::npos;
  };
  if (std::none_of(all.begin(), all.end(), is_wanted))
    throw apps::UsageError("no operation has \"" + options.filter + "\" in its name",
                           "kernels/ops.def lists them");
  Device& device = device_of(options.device);
  const double bandwidth = copy_bandwidth(device, options.seconds);
  fmt::print("{}: a copy reads and writes {:.0f} GB/s\n", device.name(), bandwidth / 1e9);
  print_launch_cost(device, options.seconds);
  fmt::print(
      "| operation | case | µs | GB/s | GFLOP/s | % of a copy |\n|---|---|---|---|---|---|\n");
  for (const kernel_cases::Operation& operation : all) {
    if (!is_wanted(operation) || !is_there(device, operation.name)) continue;
    for (const Case& c : operation.cases())
      if (c.is_benchmark) print_case(device, options, operation.name, c, bandwidth);
  }
  return apps::done;
}

}  // namespace

int main(int argc, char** argv) {
  return apps::run_program(argc, argv, [](int count, char** words) {
    Options options;
    apps::OptionParser parser("bench_operations", "Time of every operation on a GPU");
    parser.add("--device", &options.device, "cuda, cuda:N").show_default();
    parser.add("--filter", &options.filter, "only operations with this in their name");
    parser.add("--seconds", &options.seconds, "for each case").range(1e-6, 60).show_default();
    parser.parse(count, words);
    return measure(options);
  });
}
