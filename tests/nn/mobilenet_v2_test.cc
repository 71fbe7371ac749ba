// Channels, parameters, freezing, gradients through blocks and the whole network, and the same
// bytes for any number of threads and any memory budget.
#include "nn/mobilenet_v2.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "nn/classifier.h"
#include "nn/memory.h"
#include "nn/ops/loss.h"
#include "nn/optimizer.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

MobileNetV2Options small(int size, double width = 0.35) {
  MobileNetV2Options options;
  options.width = width;
  options.input_size = size;
  return options;
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) sum += double{a.data()[i]} * b.data()[i];
  return sum;
}

double norm(const Tensor& a) { return std::sqrt(dot(a, a)); }

// Activations away from the bends of ReLU6, where rounding would let a gradient through or not (see
// torch_parity_test.py): betas at 3 before it.
void avoid_bends(const Module& module) {
  for (const auto& [name, tensor] : module.state_dict())
    if (name.ends_with("beta") && name.find("project") == std::string::npos)
      std::fill_n(tensor.data(), tensor.count(), 3.0f);
}

// The slope of Σ upstream · module(x) along `direction` of one parameter, by central differences
// with the step 2h.
double slope(Module& module, const Tensor& x, const Tensor& upstream, const Tensor& parameter,
             const Tensor& direction, double h) {
  const Tensor start = parameter.clone();
  double values[2];
  for (const int side : {0, 1}) {
    for (std::int64_t i = 0; i < start.count(); ++i)
      parameter.data()[i] =
          static_cast<float>(start.data()[i] + (side ? h : -h) * direction.data()[i]);
    values[side] = dot(module.forward(x), upstream);
  }
  parameter.copy_from(start);
  return (values[1] - values[0]) / (2 * h);
}

// Half the gradient's own direction, where the slope is greatest, and half a drawn one.
Tensor direction_for(const Tensor& gradient, std::uint64_t seed) {
  Tensor direction = drawn(gradient.shape(), seed);
  const double a = norm(gradient), b = norm(direction);
  for (std::int64_t i = 0; i < gradient.count(); ++i)
    direction.data()[i] =
        static_cast<float>((gradient.data()[i] / a + direction.data()[i] / b) / std::sqrt(2.0));
  return direction;
}

// The gradient of every (or every n-th) parameter against central differences. The forward is in
// float: its rounding, about sqrt(depth) · 2^-24 of Σ|upstream · y|, is divided by the step; the
// curvature (ReLU6 bends) shows as the difference between the slopes of two steps, and by `bends`
// of the gradient's length where it evens out in that. Parameters whose tolerance would be over a
// tenth of the slope say nothing and are counted.
void check_gradients(Module& module, const Tensor& x, double h, double bends, int every = 1) {
  const Tensor y = module.forward(x);
  const Tensor upstream = drawn(y.shape(), 77);
  y.backward(upstream);
  double magnitude = 0;
  for (std::int64_t i = 0; i < y.count(); ++i)
    magnitude += std::pow(double{y.data()[i]} * upstream.data()[i], 2);
  const double rounding = 16 * 0x1p-24 * std::sqrt(magnitude) / h;
  int judged = 0, all = 0, seen = 0;
  for (const auto& [name, parameter] : module.state_dict()) {
    if (!parameter.requires_grad()) continue;
    const std::string& tensor_name = name;  // clang 14 captures no structured binding
    CAPTURE(tensor_name);
    REQUIRE(parameter.grad().defined());
    if (seen++ % every != 0) continue;
    ++all;
    if (norm(parameter.grad()) == 0) continue;
    const Tensor direction = direction_for(parameter.grad(), 5);
    const double expected = dot(parameter.grad(), direction);
    const double wide = slope(module, x, upstream, parameter, direction, h);
    const double narrow = slope(module, x, upstream, parameter, direction, h / 2);
    const double tolerance = 2 * rounding + 2 * std::abs(wide - narrow);
    if (tolerance > 0.1 * std::abs(expected)) continue;
    ++judged;
    CHECK(std::abs(narrow - expected) <= tolerance + bends * norm(parameter.grad()));
  }
  MESSAGE("judged " << judged << " of " << all << " parameters");
  CHECK(judged * 3 >= all * 2);
}

}  // namespace

TEST_CASE("make_divisible: the channels of Keras' published widths") {
  // keras.applications MobileNetV2: _make_divisible(v, 8), first argument channels · alpha.
  CHECK(make_divisible(32 * 0.35) == 16);
  CHECK(make_divisible(16 * 0.35) == 8);
  CHECK(make_divisible(24 * 0.5) == 16);
  CHECK(make_divisible(96 * 0.35) == 32);
  CHECK(make_divisible(160 * 0.75) == 120);
  CHECK(make_divisible(24 * 1.4) == 32);
  CHECK(make_divisible(320 * 1.4) == 448);
  CHECK(make_divisible(1) == 8);
  CHECK(mobilenet_v2_channels(0.35).features == 1280);
  CHECK(mobilenet_v2_channels(1.4).features == 1792);
}

TEST_CASE("parameters as published: 1.0 has 2,223,872 trained numbers, 0.35 has 396,128") {
  // keras.applications.MobileNetV2(alpha=…, include_top=False): trainable parameters of summary().
  Random random = Random::of_seed(1);
  CHECK(MobileNetV2(small(224, 1.0), random).parameter_count() == 2223872);
  CHECK(MobileNetV2(small(224, 0.35), random).parameter_count() == 396128);
}

TEST_CASE("widths and sizes out of range") {
  Random random = Random::of_seed(1);
  for (const double width : {0.0, -1.0, 9.0, std::nan("")})
    CHECK_THROWS_AS(MobileNetV2(small(224, width), random), std::invalid_argument);
  for (const int size : {0, 31, 4097, -1})
    CHECK_THROWS_AS(MobileNetV2(small(size), random), std::invalid_argument);
}

TEST_CASE("freeze_before: what is frozen takes no gradient and keeps its statistics") {
  Random random = Random::of_seed(1);
  MobileNetV2 net(small(64), random);
  const Tensor x = drawn({2, 64, 64, 3}, 3);
  const auto statistics = [&](const std::string& name) {
    return net.state_dict().at(name).values();
  };
  for (const bool keep : {false, true}) {
    net.freeze_before(17, keep);
    const auto frozen = statistics("blocks.15.project_bn.mean"),
               frozen_stem = statistics("stem.bn.mean");
    const auto trained = statistics("blocks.16.project_bn.mean");
    const Tensor y = net.forward(x);
    y.backward(Tensor::full(y.shape(), 1e-3f));
    for (const auto& [name, tensor] : net.state_dict()) {
      const std::string& tensor_name = name;  // clang 14 captures no structured binding
      CAPTURE(tensor_name);
      const bool buffer = name.ends_with("mean") || name.ends_with("variance");
      const bool late = name.starts_with("blocks.16") || name.starts_with("last");
      CHECK(tensor.requires_grad() == (late && !buffer));
      CHECK(tensor.grad().defined() == (late && !buffer));
      tensor.zero_grad();
    }
    CHECK(statistics("blocks.15.project_bn.mean") == frozen);
    CHECK(statistics("stem.bn.mean") == frozen_stem);
    CHECK((statistics("blocks.16.project_bn.mean") == trained) == keep);
  }
  net.freeze_before(0, false);
  CHECK(net.trainable_parameters().size() == 52 * 3);
  net.freeze_before(MobileNetV2::kStages, false);
  CHECK(net.trainable_parameters().empty());
  net.freeze(false);
  CHECK(net.trainable_parameters().size() == 52 * 3);
}

TEST_CASE("gradients through an inverted residual block, with and without residual") {
  for (const bool residual : {true, false})
    for (const Padding padding : {Padding::tf, Padding::symmetric}) {
      MobileNetV2Options options = small(32);
      options.padding = padding;
      Random random = Random::of_seed(4);
      InvertedResidual block(8, residual ? 8 : 16, residual ? 1 : 2, 6, options, random);
      check_gradients(block, drawn({3, 9, 8, 8}, 6), 0.02, 0.01);
    }
}

TEST_CASE("gradients through the whole network") {
  // Evaluation mode: through the batch statistics of 53 layers the slope bends too fast for float.
  Random random = Random::of_seed(4);
  MobileNetV2 net(small(32), random);
  net.eval();
  avoid_bends(net);
  check_gradients(net, drawn({2, 32, 32, 3}, 6), 0.01, 0.05, 4);
}

TEST_CASE("the whole network on the reference: the same loss and gradients") {
  // Never released: tensors that the pool keeps belong to it.
  static kernels::Device* reference =
      kernels::host_device("reference", kernels::ref::table<float>()).release();
  kernels::Device* const devices[] = {reference, &kernels::cpu_device()};
  for (const Padding padding : {Padding::tf, Padding::symmetric}) {
    StateDict gradients[2];
    float losses[2];
    for (const int side : {0, 1}) {
      kernels::Device& device = *devices[side];
      ClassifierOptions options;
      options.backbone = small(64);
      options.backbone.padding = padding;
      options.labels = {"a", "b"};
      Classifier model(options);
      avoid_bends(model);
      model.to(device);
      const Tensor x = drawn({4, 64, 64, 3}, 6, 0.5).to(device);
      const Tensor targets = Tensor::from({4, 2}, {1, 0, 0, 1, 1, 0, 0, 1}).to(device);
      const Tensor loss = softmax_cross_entropy(model.forward(x), targets);
      loss.backward();
      losses[side] = loss.item();
      for (const auto& [name, tensor] : model.state_dict())
        gradients[side][name] = tensor.requires_grad() ? tensor.grad() : tensor;
    }
    CHECK(losses[0] == doctest::Approx(losses[1]).epsilon(1e-4));
    double worst = 0, longest = 0;
    for (const auto& [name, expected] : gradients[0]) longest = std::max(longest, norm(expected));
    for (const auto& [name, expected] : gradients[0]) {
      const auto found = gradients[1].at(name).values();
      double squares = 0;
      for (std::int64_t i = 0; i < expected.count(); ++i)
        squares += std::pow(double{expected.data()[i]} - found[static_cast<std::size_t>(i)], 2);
      const std::string& tensor_name = name;  // clang 14 captures no structured binding
      CAPTURE(tensor_name);
      // 53 layers forward and 53 back, each of sums up to 1280 · 16 long in another order, through
      // batch statistics that magnify: 2^-24 · sqrt(20480) = 1e-5 a layer at most.
      // Some gradients are zero but for rounding: the next batch norm takes a shift off again.
      const double distance = std::sqrt(squares) / std::max(norm(expected), 1e-4 * longest);
      CHECK(distance <= 1e-3);
      worst = std::max(worst, distance);
    }
    MESSAGE("largest relative distance " << worst);
  }
}

TEST_CASE("training steps with 1, 2 and 3 threads give the same bytes") {
  std::vector<std::vector<float>> states[3];
  for (const int threads : {1, 2, 3}) {
    const Threads limit(threads);
    ClassifierOptions options;
    options.backbone = small(48);
    options.labels = {"a", "b"};
    Classifier model(options);
    Adam adam(model.trainable_parameters());
    for (std::uint64_t step = 0; step < 3; ++step) {
      model.mask_head()->set_dropout_seed(step);
      const Tensor x = drawn({5, 48, 48, 3}, step, 0.5);
      const Tensor targets = Tensor::from({5, 2}, {1, 0, 0, 1, 1, 0, 0, 1, 1, 0});
      adam.zero_grad();
      softmax_cross_entropy(model.forward(x), targets).backward();
      adam.step(1e-3);
    }
    for (const auto& [name, tensor] : model.state_dict())
      states[threads - 1].push_back(tensor.values());
  }
  for (const int other : {1, 2}) {
    REQUIRE(states[other].size() == states[0].size());
    for (std::size_t i = 0; i < states[0].size(); ++i)
      CHECK(std::memcmp(states[other][i].data(), states[0][i].data(),
                        states[0][i].size() * sizeof(float)) == 0);
  }
}

namespace {

// The state after two steps within `budget` bytes, and the most that tensors held meanwhile.
struct Trained {
  std::vector<std::vector<float>> state;
  std::int64_t planned = 0, held = 0;
  int recomputed = 0;
};

Trained trained_within(std::int64_t budget, int first_trained) {
  ClassifierOptions options;
  options.backbone = small(64);
  options.labels = {"a", "b"};
  Classifier model(options);
  model.backbone().freeze_before(first_trained, false);
  Trained result;
  result.planned = model.backbone().fit_memory(16, first_trained, budget);
  result.recomputed = model.backbone().recomputed_stages();
  Adam adam(model.trainable_parameters());
  const Tensor x = drawn({16, 64, 64, 3}, 1, 0.5);
  const Tensor targets = Tensor::zeros({16, 2});
  for (int i = 0; i < 16; ++i) targets.data()[2 * i + i % 2] = 1;
  reset_memory_peak();
  for (std::uint64_t step = 0; step < 2; ++step) {
    model.mask_head()->set_dropout_seed(step);
    adam.zero_grad();
    softmax_cross_entropy(model.forward(x), targets).backward();
    adam.step(1e-3);
  }
  result.held = static_cast<std::int64_t>(memory_use().peak);
  for (const auto& [name, tensor] : model.state_dict()) result.state.push_back(tensor.values());
  return result;
}

}  // namespace

TEST_CASE("a memory budget changes what a training step holds, and no byte of what it learns") {
  for (const int first_trained : {0, 5}) {
    const Trained all = trained_within(std::int64_t{1} << 40, first_trained);
    CHECK(all.recomputed == 0);
    // The batch, the head and what runs before the trained stages come on top.
    CHECK(static_cast<double>(all.held) <= 1.4 * static_cast<double>(all.planned));
    CHECK(static_cast<double>(all.held) >= 0.75 * static_cast<double>(all.planned));
    const Trained less = trained_within(all.planned * 3 / 4, first_trained);
    CHECK(less.recomputed > 0);
    CHECK(less.planned <= all.planned * 3 / 4);
    CHECK(less.held < all.held * 9 / 10);
    CHECK(less.state == all.state);
    const Trained least = trained_within(1, first_trained);
    CHECK(least.recomputed >= less.recomputed);
    CHECK(least.held <= less.held);
    CHECK(least.state == all.state);
  }
}

TEST_CASE("what a training step holds counts the result of frozen stages") {
  constexpr std::int64_t kBatch = 4, kUnlimited = std::int64_t{1} << 40;
  MobileNetV2Options options = small(64);
  options.has_last = false;
  Random random = Random::of_seed(1);
  MobileNetV2 network(options, random);
  std::vector<Module*> blocks;
  for (int i = 0; i + 1 < network.stages(); ++i) blocks.push_back(&network.block(i));
  const Tensor x = Tensor::zeros({kBatch, 64, 64, 3});
  for (const int first_trained : {1, 5}) {
    CAPTURE(first_trained);
    network.freeze_before(first_trained, false);
    std::int64_t numbers = x.count() + network.parameter_count();
    for (const Tensor& parameter : network.trainable_parameters()) numbers += 3 * parameter.count();
    const RecordingScope off(Recording::off);
    const Tensor features = network.forward(x, 0, first_trained);
    const std::vector<Module*> trained(blocks.begin() + first_trained - 1, blocks.end());
    const auto stages = plan_memory(measure_stages(trained, features), kUnlimited);
    CHECK(network.fit_memory(kBatch, first_trained, kUnlimited) ==
          (numbers + features.count()) * 4 + stages.bytes);
  }
}
