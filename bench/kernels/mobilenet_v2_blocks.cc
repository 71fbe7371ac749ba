// MobileNetV2 block by block on the kernels alone: stem, 17 inverted residual blocks, last
// convolution with its average pool, and the classifier, run in order on random weights as a
// network runs, so that caches hold what they hold in life.
//
//   build/bench/kernels/mobilenet_v2_blocks [--width 1.0] [--size 224] [--batch 1] [--threads 1]
//                                           [--target AVX2] [--seconds 2]
//
// Columns: median and least time of a block in microseconds, GFLOP/s at the least time, and the
// share of the measured multiply-add peak of the threads.
#include <fmt/format.h>
#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "apps/common/options.h"
#include "apps/common/program.h"
#include "base/parallel.h"
#include "kernels/machine.h"
#include "kernels/table.h"

using namespace maskwatch;

namespace {

using kernels::Activation;
using Clock = std::chrono::steady_clock;

struct Options {
  double width = 1.0, seconds = 2;
  std::int64_t size = 224, batch = 1;
  int threads = 1;
  std::string target;
};

class Array {
 public:
  explicit Array(std::int64_t count)
      : numbers_(hwy::AllocateAligned<float>(static_cast<std::size_t>(count))), count_(count) {
    static std::mt19937 generator(1);
    std::uniform_real_distribution<float> uniform(-0.1f, 0.1f);
    std::generate_n(numbers_.get(), count, [&] { return uniform(generator); });
  }
  float* data() const { return numbers_.get(); }
  std::int64_t size() const { return count_; }

 private:
  hwy::AlignedFreeUniquePtr<float[]> numbers_;
  std::int64_t count_;
};

struct Layer {
  std::string name;
  double flops;
  std::function<void()> run;
  std::vector<double> seconds = {};
};

std::int64_t channels_at(double base, double width) {
  const double value = base * width;
  const std::int64_t rounded =
      std::max<std::int64_t>(8, static_cast<std::int64_t>(value + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * value ? rounded + 8 : rounded;
}

// The layers over two buffers of activations that take turns.
class Network {
 public:
  Network(const Options& options, const kernels::Table<float>& table)
      : options_(options), table_(table) {
    const std::int64_t half = (options.size + 1) / 2;
    const std::int64_t largest =
        options.batch * std::max({options.size * options.size * 3, half * half * 64});
    for (int i = 0; i < 2; ++i) activations_.emplace_back(largest);
    add_stem();
    constexpr int rows[7][4] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    for (const auto& [expansion, base, repeats, stride] : rows)
      for (int i = 0; i < repeats; ++i)
        add_block(expansion, channels_at(base, options.width), i == 0 ? stride : 1);
    add_head();
  }

  std::vector<Layer>& layers() { return layers_; }

 private:
  float* x() { return activations_[layers_.size() % 2].data(); }
  float* y() { return activations_[(layers_.size() + 1) % 2].data(); }
  const float* weights(std::int64_t count) {
    return weights_.emplace_back(std::max<std::int64_t>(count, 1)).data();
  }

  void add_stem() {
    const std::int64_t out = (options_.size + 1) / 2;
    channels_ = channels_at(32, options_.width);
    const kernels::ConvShape s = {.batch = options_.batch,
                                  .in_height = options_.size,
                                  .in_width = options_.size,
                                  .in_channels = 3,
                                  .out_height = out,
                                  .out_width = out,
                                  .out_channels = channels_,
                                  .stride = 2};
    const float *w = weights(27 * channels_), *bias = weights(channels_);
    layers_.push_back(
        {fmt::format("stem {}x{}x3 to {}", options_.size, options_.size, channels_),
         54.0 * static_cast<double>(s.batch * out * out * channels_),
         [=, this, x = x(), y = y()] { table_.conv2d(y, x, w, bias, Activation::relu6, s); }});
    size_ = out;
  }

  void add_block(int expansion, std::int64_t out_channels, int stride) {
    const std::int64_t out = (size_ + stride - 1) / stride;
    const kernels::InvertedResidualShape s = {.batch = options_.batch,
                                              .in_height = size_,
                                              .in_width = size_,
                                              .in_channels = channels_,
                                              .expanded_channels = channels_ * expansion,
                                              .out_height = out,
                                              .out_width = out,
                                              .out_channels = out_channels,
                                              .stride = stride,
                                              .expand = expansion > 1,
                                              .residual = stride == 1 && channels_ == out_channels};
    const std::int64_t e = s.expanded_channels;
    float* packed = weights_.emplace_back(kernels::packed_inverted_residual_size(s)).data();
    table_.pack_inverted_residual(packed, weights(channels_ * e), weights(e), weights(9 * e),
                                  weights(e), weights(e * out_channels), weights(out_channels), s);
    const auto in_positions = static_cast<double>(s.batch * size_ * size_);
    const auto out_positions = static_cast<double>(s.batch * out * out);
    const double flops = 2.0 * static_cast<double>(e) *
                         ((s.expand ? in_positions * static_cast<double>(channels_) : 0.0) +
                          out_positions * (9.0 + static_cast<double>(out_channels)));
    layers_.push_back({fmt::format("block {}x{}x{} by {} to {} s{}", size_, size_, channels_, e,
                                   out_channels, stride),
                       flops,
                       [=, this, x = x(), y = y()] { table_.inverted_residual(y, x, packed, s); }});
    size_ = out;
    channels_ = out_channels;
  }

  void add_product(const std::string& name, std::int64_t positions, std::int64_t out,
                   Activation activation) {
    const kernels::GemmShape s = {.m = options_.batch * positions, .n = out, .k = channels_};
    float* packed = weights_.emplace_back(kernels::packed_gemm_size(s.k, s.n)).data();
    table_.pack_gemm(packed, weights(s.k * s.n), s);
    const float* bias = weights(out);
    layers_.push_back({fmt::format("{} {}x{}x{}", name, s.m, s.k, s.n),
                       2.0 * static_cast<double>(s.m * s.n * s.k), [=, this, x = x(), y = y()] {
                         if (positions > 1)
                           table_.pointwise_average_pool(y, x, packed, bias, activation, positions,
                                                         s);
                         else
                           table_.packed_gemm(y, x, packed, bias, nullptr, activation, s);
                       }});
    channels_ = out;
  }

  void add_head() {
    const std::int64_t last = options_.width > 1 ? channels_at(1280, options_.width) : 1280;
    add_product("last + pool", size_ * size_, last, Activation::relu6);
    add_product("classifier", 1, 1000, Activation::none);
  }

  Options options_;
  const kernels::Table<float>& table_;
  std::vector<Array> activations_, weights_;
  std::vector<Layer> layers_;
  std::int64_t size_ = 0, channels_ = 3;
};

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void print_row(const std::string& name, const std::vector<double>& seconds, double flops,
               double peak) {
  const double least = *std::min_element(seconds.begin(), seconds.end());
  fmt::print("{:<36}{:>12.1f}{:>12.1f}{:>10.1f}{:>8.0f} %\n", name, median(seconds) * 1e6,
             least * 1e6, flops / least * 1e-9, 100 * flops / least * 1e-9 / peak);
}

void run(const Options& options) {
  set_threads(options.threads);
  const auto& table = options.target.empty() ? kernels::cpu() : kernels::cpu(options.target);
  Network network(options, table);
  std::vector<Layer>& layers = network.layers();
  const double peak = kernels::peak_gflops();
  std::vector<double> totals;
  double flops = 0;
  for (const Layer& layer : layers) flops += layer.flops;
  for (const auto start = Clock::now(); totals.size() < 8 || since(start) < options.seconds;) {
    const auto begin = Clock::now();
    for (Layer& layer : layers) {
      const auto before = Clock::now();
      layer.run();
      layer.seconds.push_back(since(before));
    }
    totals.push_back(since(begin));
  }
  fmt::print("{:<36}{:>12}{:>12}{:>10}{:>10}\n", "", "median us", "least us", "GFLOP/s", "of peak");
  for (const Layer& layer : layers) print_row(layer.name, layer.seconds, layer.flops, peak);
  print_row(fmt::format("all, {} runs", totals.size()), totals, flops, peak);
  fmt::print("peak {:.1f} GFLOP/s on {} thread(s); {:.3f} ms a picture\n", peak, options.threads,
             median(totals) * 1e3 / static_cast<double>(options.batch));
}

}  // namespace

int main(int argc, char** argv) {
  return apps::run_program(argc, argv, [](int count, char** words) {
    Options options;
    apps::OptionParser parser("mobilenet_v2_blocks", "MobileNetV2 block by block on the kernels");
    parser.add("--width", &options.width);
    parser.add("--size", &options.size);
    parser.add("--batch", &options.batch);
    parser.add("--threads", &options.threads);
    parser.add("--target", &options.target, "vector target, as MASKWATCH_TARGET");
    parser.add("--seconds", &options.seconds);
    parser.parse(count, words);
    run(options);
    return 0;
  });
}
