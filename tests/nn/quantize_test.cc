#include "nn/quantize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "kernels/quantized.h"
#include "kernels/table.h"
#include "nn/classifier.h"
#include "nn/integer_layer.h"
#include "nn/ssd.h"
#include "nn/value_histogram.h"
#include "tests/nn/temporary.h"

namespace maskwatch::nn {
namespace {

using nn_test::message_of;
using nn_test::TemporaryFolder;

std::vector<float> drawn(std::int64_t count, std::uint64_t seed) {
  Random random = Random::of_seed(seed);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(random.uniform(-1, 1)));
  return values;
}

// Batch norms that are not the identity, as of a trained network.
std::unique_ptr<Classifier> small_classifier() {
  ClassifierOptions options;
  options.backbone.width = 0.35;
  options.backbone.input_size = 64;
  options.labels = {"with_mask", "without_mask"};
  options.meanings = {"mask", "no_mask"};
  auto model = std::make_unique<Classifier>(options);
  Random random = Random::of_seed(3);
  for (const auto& [name, tensor] : model->state_dict()) {
    if (name.ends_with("weight")) continue;
    for (std::int64_t i = 0; i < tensor.count(); ++i)
      tensor.data()[i] = name.ends_with("gamma") || name.ends_with("variance")
                             ? static_cast<float>(random.uniform(0.5, 2))
                             : static_cast<float>(random.uniform(-0.5, 0.5));
  }
  model->eval();
  return model;
}

Quantization ranges_of(const Graph& graph, RangeMethod method = RangeMethod::extremes) {
  return calibrate(
      fuse(graph), 3,
      [&](std::int64_t i, float* pixels) {
        const auto values =
            drawn(graph.shape(graph.input()).count(), static_cast<std::uint64_t>(i));
        std::copy(values.begin(), values.end(), pixels);
      },
      method);
}

double cosine(const float* a, const float* b, std::int64_t count) {
  double ab = 0, aa = 0, bb = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    ab += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return ab / std::sqrt(aa * bb);
}

// Of the outputs of a graph in float and in int8.
double likeness(const Graph& graph, const Quantization& ranges) {
  Plan in_float(fuse(graph), 1), in_int8(quantized(fuse(graph), ranges), 1);
  const auto pixels = drawn(in_float.input_shape().count(), 17);
  in_float.run(pixels.data(), 1);
  in_int8.run(pixels.data(), 1);
  return cosine(in_float.output(), in_int8.output(), in_float.output_shape().count());
}

}  // namespace

TEST_CASE("codes have one for 0.0, and span the range") {
  const ActivationCodes codes = codes_of({-1, 3});
  CHECK(codes.scale == doctest::Approx(4.0 / 255));
  CHECK(codes.zero == 64);
  CHECK(codes_of({0.5f, 2}).zero == 0);
  CHECK(codes_of({-2, -1}).zero == 255);
  CHECK(codes_of({0, 0}).scale == 1);
}

TEST_CASE("integer_layer: integers times factors are the layer") {
  const std::int64_t in = 20, out = 3;
  LayerWeights layer{Tensor::empty({in, out}), Tensor::empty({out})};
  Random random = Random::of_seed(1);
  for (const Tensor* tensor : {&layer.weight, &layer.bias})
    for (std::int64_t i = 0; i < tensor->count(); ++i)
      tensor->data()[i] = static_cast<float>(random.uniform(-2, 2));
  for (std::int64_t i = 0; i < in; ++i) layer.weight.data()[i * out + 2] = 0;  // a dead channel
  const ActivationCodes input = codes_of({-1, 1});
  const IntegerLayer made = integer_layer(layer, input);
  for (std::int64_t c = 0; c < out; ++c) {
    const auto column = static_cast<std::size_t>(c);
    double exact = static_cast<double>(layer.bias.data()[c]);
    std::int64_t sum = made.bias[column];
    int largest = 0;
    for (std::int64_t i = 0; i < in; ++i) {
      const int code = static_cast<int>(i * 12);
      const int weight = made.weight[static_cast<std::size_t>(i * out + c)];
      largest = std::max(largest, std::abs(weight));
      sum += code * weight;
      exact +=
          input.scale * (code - input.zero) * static_cast<double>(layer.weight.data()[i * out + c]);
    }
    CHECK(static_cast<double>(sum) * static_cast<double>(made.factor[column]) ==
          doctest::Approx(exact).epsilon(0.02));
    CHECK(largest == (c == 2 ? 0 : 127));
  }
}

TEST_CASE("integer_layer: factors to codes stay where no sum becomes too large") {
  const LayerWeights layer{Tensor::from({2, 1}, {3e6f, -1e6f}), Tensor::from({1}, {7e8f})};
  const ActivationCodes input = codes_of({0, 6}), result = codes_of({0, 1e-6f});
  const IntegerLayer made = integer_layer(layer, input, &result);
  double most = std::abs(static_cast<double>(made.bias[0]));
  for (const std::int8_t weight : made.weight) most += 255 * std::abs(weight);
  CHECK(static_cast<double>(made.factor[0]) * most <= kernels::kMostUnrounded * 1.000001);
  CHECK(static_cast<double>(made.factor[0]) * made.bias[0] > 255);  // what is large stays so
  // Of usual layers it is what the scales say.
  const IntegerLayer usual = integer_layer({Tensor::from({1, 1}, {0.5f}), {}}, input, &input);
  CHECK(static_cast<double>(usual.factor[0]) == doctest::Approx(0.5 / 127));
}

TEST_CASE("ValueHistogram: ranges by each method") {
  std::vector<float> values;
  for (int i = 0; i < 100000; ++i) values.push_back(static_cast<float>(i % 1000) / 1000);
  values.push_back(50);
  ValueHistogram histogram;
  for (const bool counts : {false, true}) histogram.add(values, counts);
  CHECK(histogram.extremes().most == 50);
  CHECK(histogram.without(1e-4).most == doctest::Approx(1).epsilon(0.05));
  const ValueRange range = histogram.of_least_error();
  CHECK(range.least == 0);
  CHECK(range.most > 10);  // far off, but one such value weighs more than the rounding of many
  CHECK(range.most <= 50);
}

TEST_CASE("A classifier in int8 answers like one in float") {
  // Random weights say more of errors than trained ones: nothing in them has been made robust.
  const auto model = small_classifier();
  Graph graph(model->input_shape());
  graph.output(model->backbone().trace_pooled(graph, graph.input()));
  for (const RangeMethod method :
       {RangeMethod::extremes, RangeMethod::percentile, RangeMethod::error})
    CHECK(likeness(graph, ranges_of(graph, method)) > 0.92);
}

TEST_CASE("A face detector in int8 answers like one in float, on pictures of any size") {
  SsdNetwork network({});
  network.eval();
  const Quantization ranges = ranges_of(network.graph(64, 64));
  CHECK(likeness(network.graph(64, 64), ranges) > 0.99);
  CHECK(likeness(network.graph(96, 160), ranges) > 0.99);
}

TEST_CASE("quantized: every layer with weights runs in int8, and a plan says so") {
  const auto model = small_classifier();
  const Plan plan(quantized(fuse(model->graph()), ranges_of(model->graph())), 1);
  int in_int8 = 0;
  for (const PlanStep& step : plan.steps()) {
    CHECK((step.products > 0) == step.name.starts_with("int8 "));
    in_int8 += step.name.starts_with("int8 ");
  }
  CHECK(in_int8 == 20);
}

TEST_CASE("quantized: a device without such operations runs the layers in float") {
  static kernels::Device& device =
      *kernels::host_device("reference", kernels::ref::table<float>()).release();
  const auto model = small_classifier();
  const Plan plan(quantized(fuse(model->graph()), ranges_of(model->graph())), 1, device);
  for (const PlanStep& step : plan.steps()) CHECK_FALSE(step.name.starts_with("int8 "));
}

TEST_CASE("quantized: the reference's operations in int8 give a plan's very bytes") {
  static kernels::Device& device =
      *kernels::host_device("reference", kernels::cpu(), &kernels::ref::quantized_table())
           .release();
  const auto model = small_classifier();
  const Graph graph = quantized(fuse(model->graph()), ranges_of(model->graph()));
  Plan tuned(graph, 2), reference(graph, 2, device);
  const auto pixels = drawn(2 * tuned.input_shape().count(), 5);
  tuned.run(pixels.data(), 2);
  reference.run(pixels.data(), 2);
  CHECK(std::equal(tuned.output(), tuned.output() + 4, reference.output()));
}

TEST_CASE("quantized: codes between blocks change no answer") {
  const auto model = small_classifier();
  Graph between = quantized(fuse(model->graph()), ranges_of(model->graph()));
  Graph outside = between;
  // Every value is an output here, so floats.
  const int last = between.outputs().front().index;
  for (int i = 1; i < last; ++i) outside.output({i});
  Plan with_codes(between, 1), with_floats(outside, 1);
  const auto pixels = drawn(with_codes.input_shape().count(), 17);
  with_codes.run(pixels.data(), 1);
  with_floats.run(pixels.data(), 1);
  const std::int64_t count = with_codes.output_shape().count();
  CHECK(std::equal(with_codes.output(), with_codes.output() + count, with_floats.output()));
  const auto bytes = [](const Plan& plan) {
    std::int64_t sum = 0;
    for (const PlanStep& step : plan.steps()) sum += step.value_bytes;
    return sum;
  };
  CHECK(bytes(with_codes) < bytes(with_floats));
}

TEST_CASE("quantized: ranges of other layers are refused") {
  const auto model = small_classifier();
  const Graph graph = fuse(model->graph());
  Quantization ranges = ranges_of(model->graph());
  ranges[2].layer = "pointwise";
  CHECK_THROWS_WITH_AS(quantized(graph, ranges),
                       "quantized: layer 2 is inverted_residual; its ranges are of pointwise",
                       std::invalid_argument);
  ranges = ranges_of(model->graph());
  ranges.pop_back();
  CHECK_THROWS_AS(quantized(graph, ranges), std::invalid_argument);
  ranges.resize(ranges.size() + 2);
  CHECK_THROWS_AS(quantized(graph, ranges), std::invalid_argument);
}

TEST_CASE("A file in int8: a quarter of the size, the same integers again") {
  const TemporaryFolder folder;
  const auto model = small_classifier();
  save_classifier(folder.file("float"), *model);
  Safetensors contents = to_safetensors(*model);
  contents.metadata[kQuantizationKey] = text_of_quantization(ranges_of(model->graph()));
  save_safetensors(folder.file("int8"), contents, Precision::i8);
  CHECK(std::filesystem::file_size(folder.file("int8")) * 3 <
        std::filesystem::file_size(folder.file("float")));

  const auto loaded = load_classifier(folder.file("int8"));
  CHECK(loaded->options().quantization.size() == 20);
  for (const auto& [name, tensor] : model->state_dict()) {
    if (!name.ends_with("weight")) continue;
    const std::string& layer = name;  // clang lets no lambda, and so no INFO, take `name` itself
    INFO(layer);
    const IntegerLayer before = integer_layer({tensor, {}}, {});
    const IntegerLayer after = integer_layer({loaded->state_dict().at(name), {}}, {});
    // What lies in the middle of two integers may go to either.
    std::int64_t others = 0;
    for (std::size_t i = 0; i < before.weight.size(); ++i) {
      CHECK(std::abs(before.weight[i] - after.weight[i]) <= 1);
      others += before.weight[i] != after.weight[i];
    }
    CHECK(others * 1000 <= std::ssize(before.weight));
  }
  save_safetensors(folder.file("again"), to_safetensors(*loaded), Precision::i8);
  const auto bytes = [&](const std::string& name) {
    std::ifstream file(folder.file(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  CHECK(bytes("int8") == bytes("again"));
  CHECK(load_safetensors(folder.file("int8")).rounded);
  CHECK(!load_safetensors(folder.file("float")).rounded);
}

TEST_CASE("correct_biases: the mean of each channel is float32's again, and a file keeps it") {
  const TemporaryFolder folder;
  const auto model = small_classifier();
  const Graph graph = fuse(model->graph());
  const auto load = [&](std::int64_t i, float* pixels) {
    const auto values = drawn(graph.shape(graph.input()).count(), 40 + static_cast<unsigned>(i));
    std::copy(values.begin(), values.end(), pixels);
  };
  const Quantization ranges = ranges_of(model->graph());
  std::int64_t calls = 0;
  const Quantization corrected =
      correct_biases(graph, ranges, 4, load, [&](std::int64_t done) { CHECK(done == ++calls); });
  CHECK(calls == std::ssize(ranges) + 1);
  // Of the block in the middle, whose channels no activation follows.
  const auto means_of = [&](const Graph& source) {
    Graph part(source.shape(source.input()));
    for (int i = 1; i <= 9; ++i) {
      const Node& node = source.nodes()[static_cast<std::size_t>(i)];
      part.add(node.operation, node.inputs);
    }
    part.output(Value{9});
    Plan plan(part, 1);
    std::vector<double> means(static_cast<std::size_t>(plan.output_shape().channels));
    std::vector<float> pixels(static_cast<std::size_t>(plan.input_shape().count()));
    for (std::int64_t i = 0; i < 4; ++i) {
      load(i, pixels.data());
      plan.run(pixels.data(), 1);
      for (std::int64_t at = 0; at < plan.output_shape().count(); ++at)
        means[static_cast<std::size_t>(at) % means.size()] += plan.output()[at];
    }
    return means;
  };
  CHECK(std::string(name_of(graph.nodes()[9].operation)) == "inverted_residual");
  const auto expected = means_of(graph), before = means_of(quantized(graph, ranges)),
             after = means_of(quantized(graph, corrected));
  double was = 0, is = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    was += std::abs(before[i] - expected[i]);
    is += std::abs(after[i] - expected[i]);
  }
  CHECK(is < 0.01 * was);
  // What is corrected already is not corrected twice.
  const Quantization again = correct_biases(graph, corrected, 4, load);
  save_quantized(folder.file("int8"), *model, {}, corrected);
  const auto kept = load_classifier(folder.file("int8"))->options().quantization;
  REQUIRE(kept.size() == corrected.size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    CHECK(!kept[i].correction.empty());
    CHECK(kept[i].correction == corrected[i].correction);
    CHECK(again[i].correction == corrected[i].correction);
  }
  Quantization damaged = corrected;
  damaged[3].correction.pop_back();
  CHECK_THROWS_AS(quantized(graph, damaged), std::invalid_argument);
  CHECK_THROWS_AS(correct_biases(graph, ranges, 0, load), std::invalid_argument);
}

TEST_CASE("A file of ranges and of weights in half precision runs in int8 too") {
  const TemporaryFolder folder;
  const auto model = small_classifier();
  const Quantization ranges = ranges_of(model->graph());
  save_quantized(folder.file("halves"), *model, {}, ranges, Precision::f16);
  save_quantized(folder.file("int8"), *model, {}, ranges);
  CHECK(!load_safetensors(folder.file("halves")).rounded);
  const auto halves = load_classifier(folder.file("halves"));
  Plan in_float(fuse(model->graph()), 1),
      of_halves = halves->compile(1),
      of_integers = load_classifier(folder.file("int8"))->compile(1);
  std::int64_t int8_steps = 0;
  for (const PlanStep& step : of_halves.steps()) int8_steps += step.name.starts_with("int8 ");
  CHECK(int8_steps == 20);
  const auto pixels = drawn(in_float.input_shape().count(), 17);
  for (Plan* plan : {&in_float, &of_halves, &of_integers}) plan->run(pixels.data(), 1);
  const auto from_float = [&](const Plan& plan) {
    double sum = 0;
    for (std::int64_t i = 0; i < in_float.output_shape().count(); ++i)
      sum += std::abs(plan.output()[i] - in_float.output()[i]);
    return sum;
  };
  CHECK(from_float(of_halves) > 0);
  CHECK(from_float(of_halves) < 2 * from_float(of_integers));
}

TEST_CASE("Damaged metadata of ranges is refused by name") {
  for (const char* text : {"{}", "[{}]", "[{\"layer\":\"pointwise\",\"input\":[1]}]",
                           "[{\"layer\":\"pointwise\",\"input\":[2,1]}]",
                           "[{\"layer\":\"pointwise\",\"input\":[0,1e300]}]",
                           "[{\"layer\":\"inverted_residual\",\"input\":[0,1]}]", "nonsense"}) {
    INFO(text);
    const std::string fault =
        message_of<std::runtime_error>([&] { read_quantization(text, "a.safetensors"); });
    CHECK(fault.starts_with("a.safetensors: metadata \"quantization\""));
  }
}

}  // namespace maskwatch::nn
