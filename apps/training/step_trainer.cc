#include "apps/training/step_trainer.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "base/json_fields.h"

namespace maskwatch::apps {
namespace {

Json to_json(const Figures& figures) {
  Json object = Json::object();
  for (const auto& [name, value] : figures) object[name] = value;
  return object;
}

double number_of(const JsonFields& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.number();
}

Figures figures_of(const JsonFields& object) {
  Figures figures;
  for (const auto& [name, value] : object.members()) figures.emplace_back(name, number_of(value));
  return figures;
}

// Sums of figures that have the same names every time.
class Means {
 public:
  void add(const Figures& figures) {
    if (sums_.empty())
      for (const auto& [name, value] : figures) sums_.emplace_back(name, 0);
    for (std::size_t i = 0; i < figures.size(); ++i) sums_[i].second += figures[i].second;
    ++count_;
  }
  Figures get() const {
    Figures means = sums_;
    for (auto& [name, value] : means) value /= static_cast<double>(count_);
    return means;
  }

 private:
  Figures sums_;
  std::int64_t count_ = 0;
};

nn::Adam::Options adam_options(const StepTrainerOptions& options) {
  nn::Adam::Options adam;
  adam.weight_decay = options.weight_decay;
  return adam;
}

}  // namespace

Json stretches_json(const std::vector<StretchRecord>& records) {
  Json list = Json::list();
  for (const StretchRecord& record : records)
    list.push_back(Json::object({{"step", record.step},
                                 {"learning_rate", record.learning_rate},
                                 {"seconds", record.seconds},
                                 {"training", to_json(record.training)},
                                 {"validation", to_json(record.validation)}}));
  return Json::object({{"stretches", std::move(list)}});
}

std::string stretches_text(const std::vector<StretchRecord>& records) {
  return stretches_json(records).dump(2, Json::KeyOrder::as_added) + "\n";
}

std::vector<StretchRecord> parse_stretches(const std::string& text, const std::string& name) {
  constexpr std::int64_t kMostSteps = std::numeric_limits<std::int64_t>::max();
  std::vector<StretchRecord> records;
  for (const JsonFields& entry :
       JsonFields::parse(text, name + ": is not a training history")["stretches"].list())
    records.push_back({entry["step"].whole_number(0, kMostSteps), entry["learning_rate"].number(),
                       entry["seconds"].number(), figures_of(entry["training"]),
                       figures_of(entry["validation"])});
  return records;
}

StepTrainer::StepTrainer(TrainingTask& task, const StepTrainerOptions& options,
                         kernels::Communicator& communicator)
    : task_(task),
      options_(options),
      optimizer_(task.model().trainable_parameters(), adam_options(options)),
      average_(task.model(), options.average_decay),
      step_(task.model(), options.shards, communicator) {}

StretchRecord StepTrainer::run(std::int64_t steps, const Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  const std::int64_t first = optimizer_.steps_taken();
  task_.prepare(first, first + steps);
  Means means;
  StretchRecord record;
  for (std::int64_t done = 0; done < steps; ++done) {
    task_.model().train();
    const ShardedStep::Result batch = step_.run([&](int shard) { return task_.loss(shard); });
    const auto fail = [&] {
      throw std::domain_error(fmt::format(
          "the loss is no longer finite at step {} (choose a smaller --lr)", first + done + 1));
    };
    if (!std::isfinite(batch.loss)) fail();
    Figures figures = batch.figures;
    figures.insert(figures.begin(), {"loss", batch.loss});
    try {
      if (options_.clip > 0) optimizer_.clip_gradients(options_.clip);
    } catch (const std::runtime_error&) {
      fail();
    }
    record.learning_rate = options_.schedule.at(optimizer_.steps_taken());
    optimizer_.step(record.learning_rate);
    average_.update();
    means.add(figures);
    progress(done + 1, means.get());
  }
  optimizer_.zero_grad();
  record.step = optimizer_.steps_taken();
  record.training = means.get();
  average_.swap();
  record.validation = task_.validate();
  average_.swap();
  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return record;
}

Checkpoint StepTrainer::checkpoint(const std::string& recipe,
                                   const std::vector<StretchRecord>& records) const {
  return {recipe,
          optimizer_.steps_taken(),
          average_.updates(),
          stretches_text(records),
          task_.model().state_dict(),
          optimizer_.state(),
          average_.state()};
}

void StepTrainer::restore(const Checkpoint& checkpoint) {
  task_.model().load_state_dict(checkpoint.model);
  optimizer_.load_state(checkpoint.optimizer, checkpoint.steps_taken);
  average_.load_state(checkpoint.average, checkpoint.average_updates);
}

}  // namespace maskwatch::apps
