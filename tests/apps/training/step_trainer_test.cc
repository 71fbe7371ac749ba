// The trainer on a task that can be worked out by hand, its checkpoints, and charts.
#include "apps/training/step_trainer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "apps/training/curves.h"
#include "base/random.h"
#include "nn/layers.h"
#include "nn/ops.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

// A dense layer that is to give zero for an input that depends on the step.
class ToZero : public apps::TrainingTask {
 public:
  explicit ToZero(float start = 1) : random_{7}, layer_(2, 1, random_) {
    layer_.state_dict().at("weight").copy_from(nn::Tensor::from({2, 1}, {start, -start}));
  }
  nn::Module& model() override { return layer_; }
  void prepare(std::int64_t begin, std::int64_t end) override {
    next_ = begin;
    end_ = end;
  }
  apps::ShardLoss loss(int) override {
    REQUIRE(next_ < end_);
    const auto step = static_cast<float>(next_++);
    const nn::Tensor y = layer_.forward(nn::Tensor::from({1, 2}, {1 + step / 10, factor}));
    const nn::Tensor zero = nn::Tensor::from({1, 1}, {0});
    return {nn::binary_cross_entropy(y, zero), 1, {{"step", step}}};
  }
  apps::Figures validate() override {
    return {{"weight", layer_.state_dict().at("weight").data()[0]}};
  }
  float factor = 0.5f;

 private:
  Random random_;
  nn::Dense layer_;
  std::int64_t next_ = 0, end_ = 0;
};

apps::StepTrainerOptions options() {
  apps::StepTrainerOptions o;
  o.schedule.kind = nn::Schedule::Kind::cosine;
  o.schedule.rate = 0.1;
  o.schedule.steps = 20;
  o.schedule.warm_up = 2;
  return o;
}

kernels::OneProcess alone;

const auto silent = [](std::int64_t, const apps::Figures&) {};

}  // namespace

TEST_CASE("a stretch gives means of its steps and validates averaged weights") {
  ToZero task;
  apps::StepTrainer trainer(task, options(), alone);
  std::int64_t seen = 0;
  const auto first = trainer.run(5, [&](std::int64_t done, const apps::Figures&) { seen = done; });
  CHECK(seen == 5);
  CHECK(first.step == 5);
  CHECK(first.training[0].first == "loss");
  CHECK(first.training[1] == std::pair<std::string, double>{"step", 2});
  const auto second = trainer.run(15, silent);
  CHECK(second.step == 20);
  CHECK(second.training[0].second < first.training[0].second);
  const float last = task.model().state_dict().at("weight").data()[0];
  CHECK(second.validation[0].second != last);
  trainer.swap_average();
  CHECK(second.validation[0].second == task.model().state_dict().at("weight").data()[0]);
}

TEST_CASE("a checkpoint goes on to the same bytes; one of another model is refused") {
  const TemporaryFolder folder;
  const std::string path = folder / "run.checkpoint";
  ToZero whole_task, first_task, second_task(5);
  apps::StepTrainer whole(whole_task, options(), alone), first(first_task, options(), alone),
      second(second_task, options(), alone);
  whole.run(8, silent);
  const auto expected = whole.run(12, silent);
  const std::vector<apps::StretchRecord> records{first.run(8, silent)};
  apps::save_checkpoint(path, first.checkpoint("recipe", records));
  auto checkpoint = apps::load_checkpoint(path, "recipe");
  REQUIRE(checkpoint.has_value());
  const auto restored = apps::parse_stretches(checkpoint->history, path);
  second.restore(*checkpoint);
  REQUIRE(restored.size() == 1);
  CHECK(restored[0].training == records[0].training);
  CHECK(restored[0].seconds == records[0].seconds);
  CHECK(second.steps_taken() == 8);
  CHECK(second.run(12, silent).training == expected.training);
  CHECK(second_task.model().state_dict().at("weight").values() ==
        whole_task.model().state_dict().at("weight").values());
  checkpoint->average.clear();
  CHECK_THROWS_AS(second.restore(*checkpoint), std::invalid_argument);
}

TEST_CASE("a loss that is no longer finite ends the run") {
  ToZero task;
  task.factor = NAN;
  apps::StepTrainer trainer(task, options(), alone);
  CHECK_THROWS_AS(trainer.run(1, silent), std::domain_error);
}

TEST_CASE("the history comes back, NaN as null") {
  std::vector<apps::StretchRecord> records{{3, 0.1, 2.5, {{"loss", 1.5}}, {{"AP50", NAN}}}};
  const std::string text = apps::stretches_text(records);
  CHECK(text.find("\"AP50\": null") != std::string::npos);
  const auto back = apps::parse_stretches(text, "h");
  REQUIRE(back.size() == 1);
  CHECK(back[0].step == 3);
  CHECK(back[0].training == records[0].training);
  CHECK(std::isnan(back[0].validation[0].second));
  for (const char* broken :
       {"", "[]", "{\"stretches\": [{}]}", "{\"stretches\": [{\"step\": \"a\"}]}"})
    CHECK(message_of([&] { apps::parse_stretches(broken, "h.json"); }).find("h.json: ") == 0);
}

TEST_CASE("charts: curves stay inside the axes and leave gaps") {
  const auto chart =
      apps::draw_chart({"t", "x", 0, 1, 0, 1}, {{"a", {{0, 0}, {0.5, NAN}, {1, 9}}}});
  CHECK(chart.width == 820);
  const auto empty = apps::draw_chart({"t", "x"}, {});
  CHECK(chart.pixels != empty.pixels);
  CHECK(apps::side_by_side({chart, empty}).width == 1640);
}
