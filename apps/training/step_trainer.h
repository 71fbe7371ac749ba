// The training loop over steps of any TrainingTask, on one rank or several. It runs a stretch of
// steps at a time, so that a checkpoint after any stretch continues to the very same bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/training/checkpoint.h"
#include "apps/training/sharded_step.h"
#include "apps/training/training_task.h"
#include "base/json.h"
#include "nn/optimizer.h"

namespace maskwatch::apps {

// What a stretch of steps gave.
struct StretchRecord {
  std::int64_t step = 0;  // steps taken at its end
  double learning_rate = 0;
  double seconds = 0;
  Figures training;    // means over the stretch, "loss" first
  Figures validation;  // with the averaged weights
};

// {"stretches": [{"step", "learning_rate", "seconds", "training": {...}, "validation": {...}}]};
// numbers that are not finite are null and come back as NaN.
Json stretches_json(const std::vector<StretchRecord>& records);
std::string stretches_text(const std::vector<StretchRecord>& records);
// std::runtime_error begins with `name` and says what is wrong.
std::vector<StretchRecord> parse_stretches(const std::string& text, const std::string& name);

struct StepTrainerOptions {
  nn::Schedule schedule;
  double weight_decay = 0.02;
  double clip = 5;               // largest norm of all gradients together; 0: any
  double average_decay = 0.997;  // of the exponential moving average that is validated and saved
  int shards = 1;                // pieces of a batch (ShardedStep)
};

class StepTrainer {
 public:
  // Called after each step with the steps of the stretch done and the means so far.
  using Progress = std::function<void(std::int64_t done, const Figures& figures)>;

  // Keeps references to task and communicator. Only what the model trains now is trained. Every
  // rank makes the same calls on a model of the same values, and comes to the same result.
  StepTrainer(TrainingTask& task, const StepTrainerOptions& options,
              kernels::Communicator& communicator);

  // Trains `steps` steps and validates the averaged weights. Throws std::domain_error when the loss
  // is no longer finite, RankFault where another rank is lost.
  StretchRecord run(std::int64_t steps, const Progress& progress);

  std::int64_t steps_taken() const { return optimizer_.steps_taken(); }
  // Bytes that this rank sends to others in a step.
  std::int64_t bytes_sent() const { return step_.bytes_sent(); }
  // The model holds the averaged weights until the next call.
  void swap_average() { average_.swap(); }

  // What a run of this recipe needs to go on from here.
  Checkpoint checkpoint(const std::string& recipe, const std::vector<StretchRecord>& records) const;
  // std::invalid_argument for a checkpoint of another model or optimiser; the trainer is then of no
  // further use.
  void restore(const Checkpoint& checkpoint);

 private:
  TrainingTask& task_;
  StepTrainerOptions options_;
  nn::Adam optimizer_;
  nn::WeightAverage average_;
  ShardedStep step_;
};

}  // namespace maskwatch::apps
