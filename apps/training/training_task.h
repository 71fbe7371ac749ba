// A training run has two halves: the task knows data, loss and evaluation, the trainer
// (step_trainer.h) optimiser, schedule, averages and checkpoints.
#pragma once

#include <cstdint>

#include "apps/common/progress.h"
#include "apps/training/sharded_step.h"
#include "nn/module.h"

namespace maskwatch::apps {

class TrainingTask {
 public:
  virtual ~TrainingTask() = default;

  // What is trained. The trainer puts it into training mode before each step.
  virtual nn::Module& model() = 0;
  // Steps begin .. end-1 follow: batches may be made ahead.
  virtual void prepare(std::int64_t begin, std::int64_t end) = 0;
  // The loss of a shard of the next step's batch. Called for this rank's shards, in their order, in
  // every step.
  virtual ShardLoss loss(int shard) = 0;
  // Of the validation part, with the model's weights as they are. The same on every rank.
  virtual Figures validate() = 0;
};

}  // namespace maskwatch::apps
