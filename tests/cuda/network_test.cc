// Networks on devices that are not the CPU: a training step, inference plans, the trainer and the
// detector give what the CPU gives, but for rounding, and the same bytes twice.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "apps/training/trainer.h"
#include "base/data_files.h"
#include "nn/classifier.h"
#include "nn/fuse.h"
#include "nn/ops.h"
#include "nn/optimizer.h"
#include "nn/quantize.h"
#include "nn/ssd.h"
#include "tests/apps/training/drawn_dataset.h"
#include "tests/check.h"
#include "tests/cuda/devices.h"
#include "tests/nn/temporary.h"
#include "vision/drawn/face_generator.h"
#include "vision/masks/mask_detector.h"

using namespace maskwatch;
using namespace maskwatch::nn;
using nn_test::contains;
using nn_test::drawn;
using nn_test::fault_of;
using nn_test::in_double;
using nn_test::TemporaryFolder;

namespace {

ClassifierOptions small_classifier(std::int64_t size) {
  ClassifierOptions options;
  options.backbone.width = 0.35;
  options.backbone.input_size = static_cast<int>(size);
  options.labels = {"a", "b"};
  return options;
}

// Activations leave the kink at 0 where a rounding decides what passes, for both devices alike.
void avoid_kinks(const Module& module) {
  for (const auto& [name, tensor] : module.state_dict())
    if (name.ends_with("beta") && name.find("project") == std::string::npos)
      std::fill_n(tensor.data(), tensor.count(), 3.0f);
}

double norm(const std::vector<float>& values) {
  double squares = 0;
  for (const float value : values) squares += double{value} * value;
  return std::sqrt(squares);
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += std::pow(double{a[i]} - b[i], 2);
  return std::sqrt(squares);
}

using Values = std::map<std::string, std::vector<float>>;

struct Step {
  float loss = 0;
  Values gradients, statistics;
  bool operator==(const Step&) const = default;
};

// Of MobileNetV2 0.35/96 with its head, in training mode.
Step training_step(kernels::Device& device) {
  Classifier model(small_classifier(96));
  avoid_kinks(model);
  model.to(device);
  const Tensor x = drawn({4, 96, 96, 3}, 6, 0.5).to(device);
  const Tensor targets = Tensor::from({4, 2}, {1, 0, 0, 1, 1, 0, 0, 1}).to(device);
  const Tensor loss = softmax_cross_entropy(model.forward(x), targets);
  loss.backward();
  Step step;
  step.loss = loss.item();
  for (const auto& [name, tensor] : model.state_dict())
    if (tensor.requires_grad())
      step.gradients[name] = tensor.grad().values();
    else
      step.statistics[name] = tensor.values();
  return step;
}

// The largest distance of two arrays of one name by the length of the expected one; what is far
// shorter than the longest is zero but for rounding.
double worst_distance(const Values& expected, const Values& found) {
  double longest = 0, worst = 0;
  for (const auto& [name, values] : expected) longest = std::max(longest, norm(values));
  for (const auto& [name, values] : expected)
    worst =
        std::max(worst, distance(values, found.at(name)) / std::max(norm(values), 1e-4 * longest));
  return worst;
}

SsdNetworkOptions small_detector() {
  SsdNetworkOptions options;
  options.channels = 16;
  options.backbone.batch_norm.momentum = 0.5;
  return options;
}

// Three steps as train_face_detector takes them, with the first stages frozen: weights and their
// average after them.
struct Trained {
  Values weights, average;
  bool operator==(const Trained&) const = default;
};

Trained trained_detector(kernels::Device& device) {
  SsdNetwork network(small_detector());
  avoid_kinks(network);
  network.to(device);
  network.freeze_before(4);
  Adam::Options options;
  options.weight_decay = 0.02;
  Adam optimizer(network.trainable_parameters(), options);
  WeightAverage average(network, 0.5);
  const std::vector<Anchor> anchors = network.anchors(64, 64);
  const std::vector<std::vector<SsdTarget>> targets = {
      {{{8, 10, 26, 30}, 0}, {{30, 20, 62, 60}, 2}}, {{{2, 2, 40, 50}, 1}}};
  for (std::uint64_t step = 0; step < 3; ++step) {
    optimizer.zero_grad();
    const Tensor x = drawn({2, 64, 64, 3}, step, 0.5).to(device);
    ssd_loss(network.forward(x), anchors, targets).backward();
    optimizer.clip_gradients(0.5);
    optimizer.step(1e-4);
    average.update();
  }
  Trained trained;
  for (const auto& [name, tensor] : network.state_dict()) trained.weights[name] = tensor.values();
  for (const auto& [name, tensor] : average.state()) trained.average[name] = tensor.values();
  return trained;
}

std::vector<float> outputs_of(const Plan& plan, std::int64_t batch) {
  return {plan.output(), plan.output() + batch * plan.output_shape().count()};
}

}  // namespace

TEST_CASE("a training step on a device: the CPU's loss, gradients and statistics") {
  const Step expected = training_step(kernels::cpu_device());
  for (kernels::Device* device : tested_devices()) {
    CAPTURE(device->name());
    const Step found = training_step(*device);
    CHECK(found.loss == doctest::Approx(expected.loss).epsilon(1e-4));
    // 53 layers forward and 53 back, each of sums up to 1280 · 36 long in another order, through
    // batch statistics that magnify: as between the vector targets of the CPU.
    const double gradients = worst_distance(expected.gradients, found.gradients);
    const double statistics = worst_distance(expected.statistics, found.statistics);
    MESSAGE("largest relative distance: gradients " << gradients << ", statistics " << statistics);
    CHECK(gradients <= 1e-3);
    CHECK(statistics <= 1e-4);
    CHECK_MESSAGE((training_step(*device) == found), "other bytes the second time");
  }
}

TEST_CASE("steps of a detector's training on a device: the CPU's weights") {
  const Trained expected = trained_detector(kernels::cpu_device());
  for (kernels::Device* device : tested_devices()) {
    CAPTURE(device->name());
    const Trained found = trained_detector(*device);
    const double weights = worst_distance(expected.weights, found.weights);
    const double average = worst_distance(expected.average, found.average);
    MESSAGE("largest relative distance: weights " << weights << ", average " << average);
    CHECK(weights <= 1e-3);
    CHECK(average <= 1e-3);
    CHECK_MESSAGE((trained_detector(*device) == found), "other bytes the second time");
  }
}

TEST_CASE("a classifier's plan on a device: the CPU's probabilities, for batches of any size") {
  const Classifier model(small_classifier(64));
  const Tensor x = drawn({5, 64, 64, 3}, 2, 0.5);
  Plan on_cpu = model.compile(3);
  const Tensor expected = on_cpu.run_all(x).front();
  for (kernels::Device* device : tested_devices()) {
    CAPTURE(device->name());
    Plan plan = model.compile(3, *device);
    CHECK(plan.arena_bytes() > 0);
    const Tensor found = plan.run_all(x).front();
    CHECK(&found.device() == &x.device());
    CHECK(check::difference(found.values(), in_double(expected), {1e-5, 1e-5}) == "");
    const Tensor there = plan.run_all(x.to(*device)).front();
    CHECK(&there.device() == device);
    CHECK(there.values() == found.values());
    // Once more, from what was recorded.
    CHECK(plan.run_all(x).front().values() == found.values());
    plan.run(x.data(), 2);
    const std::vector<float> first = outputs_of(plan, 2);
    plan.run(x.data(), 2);
    CHECK(outputs_of(plan, 2) == first);
    CHECK(first == std::vector<float>(found.data(), found.data() + first.size()));
    CHECK(contains(fault_of([&] { plan.run(x.data(), 4); }), "batch 4"));
  }
}

TEST_CASE("a detector's plan on a device: the CPU's boxes and scores") {
  SsdNetwork network(small_detector());
  network.eval();
  const Graph graph = fuse(network.graph(75, 53));
  const Tensor x = drawn({1, 75, 53, 3}, 8);
  Plan on_cpu(graph, 1);
  on_cpu.run(x.data(), 1);
  const std::vector<float> expected = outputs_of(on_cpu, 1);
  for (kernels::Device* device : tested_devices()) {
    CAPTURE(device->name());
    Plan plan(graph, 1, *device);
    plan.run(x.data(), 1);
    CHECK(check::difference(outputs_of(plan, 1),
                            std::vector<double>(expected.begin(), expected.end()),
                            {1e-4, 1e-4}) == "");
  }
}

TEST_CASE("the trainer on a device: epochs as on the CPU, with a frozen backbone and without") {
  constexpr int kSize = 33;
  const apps::LoadedDataset data = dark_and_bright(12, kSize);
  const apps::Split split{{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11}};
  kernels::OneProcess alone;
  const auto losses = [&](kernels::Device& device, int first_trained, int shards,
                          std::int64_t memory_budget) {
    ClassifierOptions options = small_classifier(kSize);
    options.backbone.width = 0.1;
    options.labels = {"bright", "dark"};
    Classifier model(options, 1);
    avoid_kinks(model);
    apps::TrainingOptions training;
    training.batch_size = 4;
    training.schedule.rate = 1e-4;
    training.augmented = false;
    training.label_smoothing = 0.05;
    training.first_trained_stage = first_trained;
    training.keep_statistics = false;
    training.shards = shards;
    training.memory_budget = memory_budget;
    training.device = &device;
    apps::Trainer trainer(model, data, split, training, alone);
    const apps::EpochResult result = trainer.run_epoch(0, [](int, int, double, double) {});
    CHECK(&model.state_dict().begin()->second.device() == &device);
    return std::vector<double>{result.loss, result.validation_loss};
  };
  struct Form {
    int first_trained, shards;
    std::int64_t memory_budget = 0;
  };
  for (kernels::Device* device : tested_devices())
    for (const Form& form :
         {Form{0, 1}, Form{0, 2}, Form{0, 1, 1}, Form{14, 1}, Form{MobileNetV2::kStages, 1}}) {
      CAPTURE(device->name());
      CAPTURE(form.first_trained);
      CAPTURE(form.shards);
      CAPTURE(form.memory_budget);
      const auto expected =
          losses(kernels::cpu_device(), form.first_trained, form.shards, form.memory_budget);
      const auto found = losses(*device, form.first_trained, form.shards, form.memory_budget);
      for (const std::size_t i : {0, 1})
        CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-3));
    }
}

// A model that ships, as devices run it: in float32.
std::string in_float(const std::string& name, const TemporaryFolder& folder) {
  Safetensors contents = load_safetensors(shipped_file("a model", "models/" + name));
  CHECK(contents.metadata.erase(kQuantizationKey) == 1);
  save_safetensors(folder.file(name), contents);
  return folder.file(name);
}

TEST_CASE("the detector that ships on a device: in float32 the CPU's faces, boxes and answers") {
  const TemporaryFolder folder;
  const Image picture = vision::draw_face(vision::random_face(3, true), 160, 160).picture;
  MaskDetectorOptions float_options;
  float_options.face_detector = in_float("face_detector.safetensors", folder);
  float_options.model = in_float("mask_detector.safetensors", folder);
  MaskDetector on_cpu(float_options);
  const std::vector<Face> expected = on_cpu.detect(picture);
  REQUIRE(!expected.empty());
  for (kernels::Device* device : tested_devices()) {
    CAPTURE(device->name());
    MaskDetectorOptions options = float_options;
    options.device = device;
    options.capacity = 2;
    MaskDetector detector(options);
    const std::vector<Face> found = detector.detect(picture);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      CHECK(found[i].label == expected[i].label);
      CHECK(found[i].probability == doctest::Approx(expected[i].probability).epsilon(1e-3));
      CHECK(std::abs(found[i].box.x - expected[i].box.x) < 0.05f);
      CHECK(std::abs(found[i].box.width - expected[i].box.width) < 0.05f);
    }
  }
}

TEST_CASE("what was staged for a device arrives there, and its memory is used again") {
  for (kernels::Device* device : tested_devices()) {
    CAPTURE(device->name());
    const float* memory = nullptr;
    for (const float value : {1.0f, 2.0f}) {
      const Tensor staged = Tensor::staged({3, 5}, *device);
      CHECK(staged.device().on_host());
      CHECK((!memory || staged.data() == memory));
      memory = staged.data();
      std::fill_n(staged.data(), staged.count(), value);
      CHECK(staged.to(*device).values() == std::vector<float>(15, value));
    }
  }
}

TEST_CASE("what lies on two devices is refused, and the message names both") {
  for (kernels::Device* device : tested_devices()) {
    const Tensor here = drawn({2, 3}, 1), there = drawn({3, 4}, 2).to(*device);
    const std::string fault = fault_of([&] { matmul(here, there); });
    CHECK(contains(fault, "matmul"));
    CHECK(contains(fault, "cpu and " + device->name()));
    CHECK(contains(fault_of([&] { add(here, here.to(*device)); }), device->name()));
    Tensor wanted = drawn({2, 3}, 3);
    wanted.set_requires_grad(true);
    CHECK(contains(fault_of([&] { wanted.add_gradient(here.to(*device)); }), device->name()));
    CHECK(here.to(*device).cpu().values() == here.values());
  }
}
