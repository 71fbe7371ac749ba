// MobileNetV2 as an inference plan: how long a run takes, and where the time goes.
//
//   mobilenet_v2 [--width 1.0] [--size 224] [--batch 1] [--threads 1] [--repeats 100] [--json]
//                [--int8]
//
// With --int8 the network runs in int8, in turns with float32 (ranges by random pixels, unless the
// model has its own).
// The network has random weights (--seed) and --classes outputs behind a softmax, or comes with
// --model FILE; pixels are random. For runs in turn with a peer there is bench/nn/serve.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "apps/common/options.h"
#include "apps/common/program.h"
#include "base/parallel.h"
#include "kernels/machine.h"
#include "kernels/quantized.h"
#include "kernels/table.h"
#include "nn/classifier.h"

using namespace maskwatch;

namespace {

struct Options {
  double width = 1.0;
  int size = 224, classes = 1000, threads = 1, repeats = 100;
  std::int64_t batch = 1;
  std::uint64_t seed = 42;
  std::string model;
  bool json = false, int8 = false;
};

std::unique_ptr<nn::Classifier> make_model(const Options& options) {
  if (!options.model.empty()) return nn::load_classifier(options.model);
  nn::ClassifierOptions wanted;
  wanted.backbone.width = options.width;
  wanted.backbone.input_size = options.size;
  wanted.head = nn::HeadKind::classifier;
  for (int i = 0; i < options.classes; ++i) wanted.labels.push_back(fmt::format("class {}", i));
  auto model = std::make_unique<nn::Classifier>(wanted, options.seed);
  model->eval();
  return model;
}

std::vector<float> random_pixels(std::int64_t count) {
  std::vector<float> pixels(static_cast<std::size_t>(count));
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::generate(pixels.begin(), pixels.end(), [&] { return uniform(generator); });
  return pixels;
}

double time_run(nn::Plan& plan, const Options& options, const std::vector<float>& pixels) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  plan.run(pixels.data(), options.batch);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<double> time_runs(nn::Plan& plan, const Options& options,
                              const std::vector<float>& pixels, int repeats) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) seconds.push_back(time_run(plan, options, pixels));
  return seconds;
}

nn::Quantization quantization_of(const nn::Classifier& model, const std::vector<float>& pixels) {
  if (!model.options().quantization.empty()) return model.options().quantization;
  const auto load = [&](std::int64_t, float* to) {
    std::copy_n(pixels.begin(), model.input_shape().count(), to);
  };
  return nn::calibrate(nn::fuse(model.graph()), 1, load, nn::RangeMethod::extremes);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Medians of each step, one picture at a time.
std::vector<double> time_steps(nn::Plan& plan, const std::vector<float>& pixels, int repeats) {
  std::vector<std::vector<double>> times(plan.steps().size());
  for (int i = 0; i < repeats; ++i) {
    std::vector<double> seconds(times.size());
    plan.run_timed(pixels.data(), 1, seconds);
    for (std::size_t step = 0; step < times.size(); ++step) times[step].push_back(seconds[step]);
  }
  std::vector<double> medians;
  for (auto& step : times) medians.push_back(median(std::move(step)));
  return medians;
}

nlohmann::json measure(nn::Plan& plan, const Options& options, const std::vector<float>& pixels) {
  const std::vector<double> seconds = time_runs(plan, options, pixels, options.repeats);
  const std::vector<nn::PlanStep> steps = plan.steps();
  const std::vector<double> step_seconds = time_steps(plan, pixels, options.repeats);
  const double peak = kernels::peak_gflops();
  double products = 0;
  nlohmann::json stages = nlohmann::json::array();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    products += steps[i].products;
    const double gflops = 2e-9 * steps[i].products / step_seconds[i];
    stages.push_back({{"name", steps[i].name},
                      {"us", step_seconds[i] * 1e6},
                      {"gflops", gflops},
                      {"share_of_peak", gflops / peak}});
  }
  const double middle = median(seconds), least = *std::min_element(seconds.begin(), seconds.end());
  const double gflops = 2e-9 * products * static_cast<double>(options.batch) / middle;
  return {{"median_ms", middle * 1e3},
          {"least_ms", least * 1e3},
          {"ms_a_picture", middle * 1e3 / static_cast<double>(options.batch)},
          {"products", products},
          {"gflops", gflops},
          {"peak_gflops", peak},
          {"share_of_peak", gflops / peak},
          {"arena_bytes", plan.arena_bytes()},
          {"batch", options.batch},
          {"threads", options.threads},
          {"repeats", options.repeats},
          {"target", kernels::target_name()},
          {"steps", stages}};
}

void print(const nlohmann::json& result) {
  fmt::print("{:<62}{:>10}{:>10}{:>10}\n", "one picture", "median us", "GFLOP/s", "of peak");
  for (const auto& step : result["steps"])
    fmt::print("{:<62}{:>10.1f}{:>10.1f}{:>8.0f} %\n", step["name"].get<std::string>(),
               step["us"].get<double>(), step["gflops"].get<double>(),
               100 * step["share_of_peak"].get<double>());
  fmt::print(
      "batch {}, {} thread(s), {}: median {:.3f} ms, least {:.3f} ms, {:.3f} ms a picture; "
      "{:.1f} GFLOP/s, {:.1f} % of {:.1f}\n",
      result["batch"].get<int>(), result["threads"].get<int>(), result["target"].get<std::string>(),
      result["median_ms"].get<double>(), result["least_ms"].get<double>(),
      result["ms_a_picture"].get<double>(), result["gflops"].get<double>(),
      100 * result["share_of_peak"].get<double>(), result["peak_gflops"].get<double>());
}

// Medians of runs in turn.
void compare(nn::Plan& in_float, nn::Plan& in_int8, const Options& options,
             const std::vector<float>& pixels) {
  std::vector<double> of_float, of_int8;
  for (int i = 0; i < options.repeats; ++i) {
    of_float.push_back(time_run(in_float, options, pixels));
    of_int8.push_back(time_run(in_int8, options, pixels));
  }
  const double f = median(of_float), q = median(of_int8);
  fmt::print(stderr, "in turns: float32 ({}) {:.3f} ms, int8 ({}) {:.3f} ms, ratio {:.3f}\n",
             kernels::target_name(), f * 1e3, kernels::quantized_target_name(), q * 1e3, q / f);
}

void run(const Options& options) {
  set_threads(options.threads);
  const auto model = make_model(options);
  const auto pixels = random_pixels(options.batch * model->input_shape().count());
  nn::Plan plan(nn::fuse(model->graph()), options.batch);
  if (options.int8) {
    nn::Plan in_float = std::move(plan);
    plan = nn::Plan(nn::quantized(nn::fuse(model->graph()), quantization_of(*model, pixels)),
                    options.batch);
    compare(in_float, plan, options, pixels);
  }
  time_runs(plan, options, pixels, 1);
  const nlohmann::json result = measure(plan, options, pixels);
  if (options.json)
    std::cout << result << std::endl;
  else
    print(result);
}

}  // namespace

int main(int argc, char** argv) {
  return apps::run_program(argc, argv, [](int count, char** words) {
    Options options;
    apps::OptionParser parser("mobilenet_v2",
                              "MobileNetV2 as an inference plan: times of a run and of its steps");
    parser.add("--width", &options.width);
    parser.add("--size", &options.size);
    parser.add("--classes", &options.classes);
    parser.add("--seed", &options.seed);
    parser.add("--model", &options.model);
    parser.add("--batch", &options.batch).range(1, 1 << 16);
    parser.add("--threads", &options.threads).range(0, 1024);
    parser.add("--repeats", &options.repeats).range(1, 1 << 20);
    parser.add("--json", &options.json);
    parser.add("--int8", &options.int8);
    parser.parse(count, words);
    run(options);
    return 0;
  });
}
