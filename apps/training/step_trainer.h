// Trains whatever a task is about, a stretch of steps at a time, so that a checkpoint after any
// stretch continues to the very same bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/training/training_task.h"
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
std::string stretches_text(const std::vector<StretchRecord>& records);
// std::runtime_error begins with `name` and says what is wrong.
std::vector<StretchRecord> parse_stretches(const std::string& text, const std::string& name);

struct StepTrainerOptions {
  nn::Schedule schedule;
  double weight_decay = 0.02;
  double clip = 5;               // largest norm of all gradients together; 0: any
  double average_decay = 0.997;  // of the exponential moving average that is validated and saved
};

class StepTrainer {
 public:
  // Called after each step with the steps of the stretch done and the means so far.
  using Progress = std::function<void(std::int64_t done, const Figures& figures)>;

  // Keeps a reference to the task. Only what the model trains now is trained.
  StepTrainer(TrainingTask& task, const StepTrainerOptions& options);

  // Trains `steps` steps and validates the averaged weights. Throws std::domain_error when the loss
  // is no longer finite.
  StretchRecord run(std::int64_t steps, const Progress& progress);

  std::int64_t steps_taken() const { return optimizer_.steps_taken(); }
  // The model holds the averaged weights until the next call.
  void swap_average() { average_.swap(); }

  // One safetensors file, written atomically. `recipe`: everything that the result depends on.
  void save(const std::string& path, const std::string& recipe,
            const std::vector<StretchRecord>& records) const;
  // What save() wrote, with its records. UsageError names the file if it is no checkpoint, or one
  // of another recipe.
  std::vector<StretchRecord> restore(const std::string& path, const std::string& recipe);

 private:
  TrainingTask& task_;
  StepTrainerOptions options_;
  nn::Adam optimizer_;
  nn::WeightAverage average_;
};

}  // namespace maskwatch::apps
