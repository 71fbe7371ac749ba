// The operations in int8: every vector target gives the reference's bytes, touches no memory but
// its operands, and gives the same on any number of threads.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/quantized.h"
#include "tests/kernels/guarded.h"

namespace maskwatch::kernels {
namespace {

using kernel_cases::Guarded;
using kernel_cases::Placement;

// Weights over all of their range, and factors that spread sums of random codes over the codes.
struct Layer {
  Layer(std::int64_t steps, std::int64_t out, bool has_codes, Random& random) {
    const double spread = 255.0 * 73 * std::sqrt(static_cast<double>(steps)) / 2;
    for (std::int64_t i = 0; i < steps * out; ++i)
      weight.push_back(static_cast<std::int8_t>(static_cast<int>(random.uniform() * 255) - 127));
    for (std::int64_t i = 0; i < out; ++i) {
      bias.push_back(static_cast<std::int32_t>((random.uniform() - 0.3) * spread));
      const double most = has_codes ? 200 : 7;
      factor.push_back(static_cast<float>((0.5 + random.uniform()) * most / spread));
    }
  }
  QuantizedLayer view() const { return {weight.data(), bias.data(), factor.data()}; }
  std::vector<std::int8_t> weight;
  std::vector<std::int32_t> bias;
  std::vector<float> factor;
};

std::vector<float> random_values(std::int64_t count, Random& random) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(2.2 * random.gaussian()));
  return values;
}

constexpr Quantization kInput{.inverse_scale = 31.3f, .zero = 113};

// One call on one table: pack, then run from x to y.
struct Call {
  std::string label;
  std::int64_t outputs, channels, pack_bytes;
  std::vector<float> x;
  std::function<void(const QuantizedTable&, std::byte* packed)> pack;
  std::function<void(const QuantizedTable&, float* y, const float* x, const std::byte* packed)> run;
};

std::vector<float> result_of(const Call& call, const QuantizedTable& table, Placement placement) {
  const std::vector<std::byte> empty(static_cast<std::size_t>(call.pack_bytes));
  const std::vector<float> cleared(static_cast<std::size_t>(call.outputs));
  // A pack is aligned memory of a plan's.
  Guarded<std::byte> packed(std::span<const std::byte>(empty), Placement::page_start);
  Guarded<float> y(std::span<const float>(cleared), placement),
      x(std::span<const float>(call.x), placement);
  call.pack(table, packed.data());
  call.run(table, y.data(), x.data(), packed.data());
  CHECK_MESSAGE((packed.intact() && y.intact() && x.intact()), "wrote outside its operands");
  CHECK(std::memcmp(x.data(), call.x.data(), call.x.size() * sizeof(float)) == 0);
  const std::span<const float> values = y.values();
  return {values.begin(), values.end()};
}

// The first number that differs, or nothing.
std::string difference(const std::vector<float>& computed, const std::vector<float>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (std::memcmp(&computed[i], &expected[i], sizeof(float)) != 0)
      return std::to_string(i) + ": " + std::to_string(computed[i]) + ", expected " +
             std::to_string(expected[i]);
  return "";
}

void check(const Call& call) {
  INFO(call.label);
  const std::vector<float> expected =
      result_of(call, ref::quantized_table(), Placement::page_start);
  if (call.outputs > call.channels * 5 && call.channels > 4) {
    const auto equal = std::count(expected.begin(), expected.end(), expected.front());
    CHECK_MESSAGE(equal < std::ssize(expected) * 7 / 8, "a case without variety");
  }
  for (const std::string& target : quantized_targets()) {
    INFO("target " << target);
    const QuantizedTable& table = quantized_cpu(target);
    for (const int threads : {1, 2, 3}) {
      INFO("threads " << threads);
      set_threads(threads);
      for (const Placement placement : {Placement::page_start, Placement::page_end})
        CHECK(difference(result_of(call, table, placement), expected) == "");
    }
  }
  set_threads(0);
}

Call pointwise(GemmShape s, Activation activation, bool has_residual) {
  Random random = Random::of_seed(static_cast<std::uint64_t>(s.m * 1000003 + s.n * 1009 + s.k));
  const Layer layer(s.k, s.n, false, random);
  const std::vector<float> residual = random_values(s.m * s.n, random);
  Call call{
      "pointwise " + std::to_string(s.m) + " " + std::to_string(s.n) + " " + std::to_string(s.k),
      s.m * s.n,
      s.n,
      packed_quantized_pointwise_size(s.k, s.n),
      random_values(s.m * s.k, random),
      [=](const QuantizedTable& t, std::byte* packed) {
        t.pack_quantized_pointwise(packed, layer.view(), s.k, s.n);
      },
      [=](const QuantizedTable& t, float* y, const float* x, const std::byte* packed) {
        t.quantized_pointwise(y, x, packed, kInput, has_residual ? residual.data() : nullptr,
                              activation, s);
      }};
  call.x[0] = std::numeric_limits<float>::quiet_NaN();
  if (call.x.size() > 2) {
    call.x[1] = std::numeric_limits<float>::infinity();
    call.x[2] = -1e30f;
  }
  return call;
}

Call pool(std::int64_t pictures, std::int64_t positions, std::int64_t in, std::int64_t out) {
  Random random = Random::of_seed(static_cast<std::uint64_t>(positions * 1009 + in));
  const Layer layer(in, out, false, random);
  const GemmShape s{pictures * positions, out, in};
  return {"pool " + std::to_string(pictures) + " " + std::to_string(positions) + " " +
              std::to_string(out),
          pictures * out,
          out,
          packed_quantized_pointwise_size(in, out),
          random_values(s.m * in, random),
          [=](const QuantizedTable& t, std::byte* packed) {
            t.pack_quantized_pointwise(packed, layer.view(), in, out);
          },
          [=](const QuantizedTable& t, float* y, const float* x, const std::byte* packed) {
            t.quantized_pointwise_average_pool(y, x, packed, kInput, Activation::relu6, positions,
                                               s);
          }};
}

Call block(const InvertedResidualShape& s, const std::string& label) {
  Random random =
      Random::of_seed(static_cast<std::uint64_t>(s.expanded_channels * 31 + s.in_width));
  const Layer expand(s.expand_steps(), s.expanded_channels, true, random);
  const Layer depthwise(9, s.expanded_channels, true, random);
  const Layer project(s.expanded_channels, s.out_channels, false, random);
  return {label,
          s.batch * s.out_height * s.out_width * s.out_channels,
          s.out_channels,
          packed_quantized_inverted_residual_size(s),
          random_values(s.batch * s.in_height * s.in_width * s.in_channels, random),
          [=](const QuantizedTable& t, std::byte* packed) {
            t.pack_quantized_inverted_residual(
                packed, {expand.view(), depthwise.view(), project.view()}, s);
          },
          [=](const QuantizedTable& t, float* y, const float* x, const std::byte* packed) {
            t.quantized_inverted_residual({y, nullptr, {}}, {x, nullptr, kInput}, packed, s);
          }};
}

// The same from codes to codes, four of which lie in each float of the operands; with a residual
// from floats.
Call block_of_codes(const InvertedResidualShape& s, const std::string& label) {
  Call call = block(s, label + ", codes");
  REQUIRE(call.outputs % 4 == 0);
  call.outputs /= 4;
  if (!s.residual) call.x.resize((call.x.size() + 3) / 4);
  call.run = [=](const QuantizedTable& t, float* y, const float* x, const std::byte* packed) {
    const auto* codes = reinterpret_cast<const std::uint8_t*>(x);
    const QuantizedInput from{x, s.residual ? nullptr : codes, kInput};
    const QuantizedOutput to{nullptr, reinterpret_cast<std::uint8_t*>(y), {21.7f, 90}};
    t.quantized_inverted_residual(to, from, packed, s);
  };
  return call;
}

// Keras' padding: of an even size with stride 2 all of it lies behind.
InvertedResidualShape shape_of(std::int64_t height, std::int64_t width, std::int64_t in,
                               std::int64_t expanded, std::int64_t out, int stride) {
  InvertedResidualShape s{.in_height = height,
                          .in_width = width,
                          .in_channels = in,
                          .expanded_channels = expanded,
                          .out_height = (height + stride - 1) / stride,
                          .out_width = (width + stride - 1) / stride,
                          .out_channels = out,
                          .stride = stride};
  if (stride == 2) s.pad_top = height % 2, s.pad_left = width % 2;
  return s;
}

}  // namespace

TEST_CASE("quantized_pointwise: every target gives the reference's bytes") {
  for (const std::int64_t m : {1, 2, 5, 13, 14, 15, 29, 57, 240})
    for (const std::int64_t n : {1, 7, 16, 24, 33, 48})
      for (const std::int64_t k : {1, 3, 8, 19, 64})
        check(pointwise({m, n, k}, m % 2 ? Activation::none : Activation::relu6, n % 2 == 0));
  check(pointwise({1, 1000, 1280}, Activation::none, false));
  check(pointwise({3, 300, 77}, Activation::relu, true));
}

TEST_CASE("quantized_pointwise_average_pool: every target gives the reference's bytes") {
  for (const std::int64_t positions : {1, 4, 13, 49}) {
    check(pool(1, positions, 12, 40));
    check(pool(2, positions, 33, 17));
  }
  check(pool(1, 16, 112, 1280));
}

TEST_CASE("quantized_inverted_residual: every target gives the reference's bytes") {
  for (const int stride : {1, 2})
    for (const std::int64_t size : {1, 2, 3, 4, 5, 7, 8, 9, 16})
      for (const std::int64_t expanded : {8, 16, 24, 48}) {
        InvertedResidualShape s = shape_of(size, size + expanded % 3, 7, expanded, 9, stride);
        s.activation = size % 2 ? Activation::relu6 : Activation::relu;
        s.out_activation = size % 3 ? Activation::none : Activation::relu6;
        check(block(s, "block of size " + std::to_string(size) + ", stride " +
                           std::to_string(stride) + ", expanded " + std::to_string(expanded)));
        s.expand = false;
        s.in_channels = expanded;
        check(block(s, "without expansion, size " + std::to_string(size) + ", stride " +
                           std::to_string(stride) + ", channels " + std::to_string(expanded)));
      }
  InvertedResidualShape s = shape_of(14, 14, 40, 240, 40, 1);
  s.residual = true;
  check(block(s, "with a residual"));
  s.batch = 3;
  check(block(s, "of three pictures"));
}

TEST_CASE("quantized_inverted_residual: codes between blocks") {
  for (const int stride : {1, 2})
    for (const std::int64_t size : {4, 6, 12})
      for (const std::int64_t channels : {7, 8, 16, 24, 40})
        for (const bool expand : {false, true}) {
          InvertedResidualShape s =
              shape_of(size, size, channels, expand ? 3 * channels : channels, channels, stride);
          s.expand = expand;
          s.residual = stride == 1 && channels % 16 == 8;
          s.out_activation = size == 6 ? Activation::relu6 : Activation::none;
          if (s.out_height * s.out_width * channels % 4 != 0) continue;
          check(block_of_codes(s, "size " + std::to_string(size) + ", channels " +
                                      std::to_string(channels) + ", stride " +
                                      std::to_string(stride)));
        }
}

TEST_CASE("quantized_inverted_residual: an expansion by a full convolution") {
  for (const std::int64_t size : {5, 8, 16, 33}) {
    InvertedResidualShape s = shape_of((size + 1) / 2, (size + 1) / 2, 3, 24, 16, 1);
    s.full_height = s.in_height;
    s.full_width = s.in_width;
    s.in_height = s.in_width = size;
    s.expand_kernel = 3;
    s.expand_stride = 2;
    s.expand_pad_top = s.expand_pad_left = static_cast<int>(size % 2);
    check(block(s, "stem of size " + std::to_string(size)));
    check(block_of_codes(s, "stem of size " + std::to_string(size)));
  }
}

TEST_CASE("quantized_inverted_residual: several steps of rows") {
  // What a step holds is a share of the second-level cache, so wide rows make several.
  InvertedResidualShape s = shape_of(40, 700, 8, 160, 8, 1);
  check(block(s, "wide rows"));
  check(block(shape_of(41, 701, 8, 96, 8, 2), "wide rows, stride 2"));
}

TEST_CASE("multiply_adds: every target does as many as it says") {
  for (const std::string& target : quantized_targets()) {
    INFO("target " << target);
    std::vector<std::int32_t> sums(192);
    std::iota(sums.begin(), sums.end(), 0);
    const auto total = [&] { return std::accumulate(sums.begin(), sums.end(), std::int64_t{0}); };
    const std::int64_t before = total();
    const double done = quantized_cpu(target).multiply_adds(1000, sums.data());
    CHECK(done >= 12 * 1000 * 8);
    CHECK(static_cast<double>(total() - before) == -6 * done);
  }
}

TEST_CASE("quantized_cpu refuses a target that this machine lacks") {
  CHECK_THROWS_AS(quantized_cpu("no-such-target"), std::invalid_argument);
}

}  // namespace maskwatch::kernels
