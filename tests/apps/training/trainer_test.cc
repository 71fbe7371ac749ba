// What a training changes, and models that cannot be trained.
#include "apps/training/trainer.h"

#include <doctest/doctest.h>

#include "tests/apps/temporary_folder.h"
#include "tests/apps/training/drawn_dataset.h"

using namespace maskwatch;

namespace {

constexpr int kSize = 33;

nn::ClassifierOptions small_model(nn::HeadKind head, std::vector<std::string> labels) {
  nn::ClassifierOptions options;
  options.backbone.width = 0.05;
  options.backbone.input_size = kSize;
  options.head = head;
  options.labels = std::move(labels);
  return options;
}

apps::TrainingOptions quick(int first_trained_stage) {
  apps::TrainingOptions options;
  options.batch_size = 4;
  options.schedule.rate = 1e-2;
  options.augmented = false;
  options.first_trained_stage = first_trained_stage;
  options.keep_statistics = false;
  return options;
}

// All parameters and statistics of the head, or of the backbone.
std::vector<float> values_of(const nn::Classifier& model, bool of_head) {
  std::vector<float> values;
  for (const auto& [name, tensor] : model.state_dict())
    if (name.starts_with("head.") == of_head)
      values.insert(values.end(), tensor.data(), tensor.data() + tensor.count());
  REQUIRE(!values.empty());
  return values;
}

kernels::OneProcess alone;

const apps::Split kSplit{{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11}};

}  // namespace

TEST_CASE("what is to be trained changes, what is frozen does not") {
  const apps::LoadedDataset data = dark_and_bright(12, kSize);
  for (const int first_trained : {0, nn::MobileNetV2::kStages}) {
    CAPTURE(first_trained);
    nn::Classifier model(small_model(nn::HeadKind::mask, {"bright", "dark"}), 1);
    apps::Trainer trainer(model, data, kSplit, quick(first_trained), alone);
    const std::vector<float> backbone = values_of(model, false), head = values_of(model, true);
    int calls = 0;
    for (int epoch = 0; epoch < 5; ++epoch)
      trainer.run_epoch(epoch, [&](int batch, int batches, double, double) {
        CHECK(batches == 2);
        CHECK(batch == calls++ % 2 + 1);
      });
    CHECK(calls == 10);
    CHECK(trainer.steps_taken() == 10);
    const apps::Evaluation after = trainer.evaluate();
    CHECK(after.labels == std::vector<int>{0, 1, 0, 1});
    CHECK(after.probabilities.shape() == nn::Shape{4, 2});
    CHECK((values_of(model, false) == backbone) == (first_trained > 0));
    CHECK(values_of(model, true) != head);
  }
}

TEST_CASE("stages are trained whose input is a single pixel") {
  constexpr int kSmallest = 32, kLastBlock = 17;
  const apps::LoadedDataset data = dark_and_bright(12, kSmallest);
  nn::ClassifierOptions options = small_model(nn::HeadKind::mask, {"bright", "dark"});
  options.backbone.input_size = kSmallest;
  nn::Classifier model(options, 1);
  apps::Trainer trainer(model, data, kSplit, quick(kLastBlock), alone);
  const std::vector<float> backbone = values_of(model, false);
  trainer.run_epoch(0, [](int, int, double, double) {});
  CHECK(values_of(model, false) != backbone);
}

TEST_CASE("a model that cannot be trained on the data is refused") {
  const apps::LoadedDataset data = dark_and_bright(12, kSize);
  const auto fault = [&](const nn::ClassifierOptions& options) {
    nn::Classifier model(options, 1);
    return message_of([&] { apps::Trainer(model, data, kSplit, quick(0), alone); });
  };
  CHECK(fault(small_model(nn::HeadKind::classifier, {"bright", "dark"})) ==
        "Trainer: the model needs a head of kind mask to be trained");
  CHECK(fault(small_model(nn::HeadKind::none, {})) ==
        "Trainer: the model needs a head of kind mask to be trained");
  CHECK(fault(small_model(nn::HeadKind::mask, {"a", "b", "c"})) ==
        "Trainer: a model of 3 classes for a data set of 2");
  nn::Classifier model(small_model(nn::HeadKind::classifier, {"bright", "dark"}), 1);
  CHECK_THROWS_AS(apps::Trainer(model, data, kSplit, quick(0), alone), std::invalid_argument);
}

namespace {

// How many pictures of the validation part the model calls what its label says.
double accuracy_after(nn::Classifier& model, const apps::LoadedDataset& data,
                      const apps::TrainingOptions& options) {
  apps::Trainer trainer(model, data, kSplit, options, alone);
  for (int epoch = 0; epoch < 30; ++epoch)
    trainer.run_epoch(epoch, [](int, int, double, double) {});
  return trainer.evaluate().accuracy();
}

}  // namespace

TEST_CASE("a teacher's answers are learned, of each class by its name") {
  const apps::LoadedDataset data = dark_and_bright(12, kSize);
  const auto made = [](std::vector<std::string> labels, int seed) {
    nn::ClassifierOptions model = small_model(nn::HeadKind::mask, std::move(labels));
    model.backbone.batch_norm.momentum = 0.8;
    return nn::Classifier(model, static_cast<std::uint64_t>(seed));
  };
  nn::Classifier teacher = made({"bright", "dark"}, 1);
  REQUIRE(accuracy_after(teacher, data, quick(0)) == 1);
  // The labels say the opposite, and the classes stand in another order.
  apps::LoadedDataset wrong = data;
  wrong.dataset.classes = {"dark", "bright"};
  apps::TrainingOptions options = quick(0);
  options.teacher = &teacher;
  for (const double share : {1.0, 0.1}) {
    CAPTURE(share);
    options.teacher_share = share;
    nn::Classifier student = made({"dark", "bright"}, 2);
    CHECK(accuracy_after(student, wrong, options) == (share == 1 ? 0 : 1));
  }
}

TEST_CASE("a teacher that answers something else is refused") {
  const auto model = small_model(nn::HeadKind::mask, {"bright", "dark"});
  const auto fault = [&](const nn::ClassifierOptions& teacher) {
    return message_of([&] { apps::teacher_columns(model, teacher); });
  };
  CHECK(apps::teacher_columns(model, small_model(nn::HeadKind::classifier, {"dark", "bright"})) ==
        std::vector<int>{1, 0});
  CHECK(fault(small_model(nn::HeadKind::mask, {"bright", "grey"})) ==
        "the teacher has no class dark");
  CHECK(fault(small_model(nn::HeadKind::mask, {"bright", "dark", "grey"})) ==
        "the teacher has 3 classes, not 2");
  CHECK(fault(small_model(nn::HeadKind::none, {})) == "the teacher has no class bright");
  nn::ClassifierOptions other = model;
  other.backbone.input_size = 40;
  CHECK(fault(other) == "the teacher looks at pictures of 40 pixels, not 33");
  other = model;
  other.backbone.preprocessing = nn::Preprocessing::unit;
  CHECK(fault(other) == "the teacher prepares pixels in another way");
}
