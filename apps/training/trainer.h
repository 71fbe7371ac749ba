// Trains a classifier on a loaded data set, an epoch at a time, so that a checkpoint after any
// epoch continues to the very same bytes. What the backbone does not learn runs as an inference
// plan.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/dataset.h"
#include "apps/training/batch_loader.h"
#include "apps/training/load_images.h"
#include "apps/training/sharded_step.h"
#include "apps/training/split.h"
#include "nn/classifier.h"
#include "nn/optimizer.h"

namespace maskwatch::apps {

struct TrainingOptions {
  int epochs = 20;
  int batch_size = 32;
  std::uint64_t seed = 42;
  nn::Schedule schedule;
  vision::AugmentOptions augment;
  bool augmented = true;
  bool light = false;                // see BatchLoaderOptions
  const FaceCrops* faces = nullptr;  // or null: train on images as they are
  double label_smoothing = 0;
  // A model whose answers are learned too, or null: distillation (Hinton, Vinyals, Dean,
  // "Distilling the Knowledge in a Neural Network", 2015) at a temperature of 1. It sees the very
  // crops that the trained one sees; its classes are matched by name.
  const nn::Classifier* teacher = nullptr;
  double teacher_share = 0;  // of the target, in [0, 1]; the rest is the label, smoothed
  // Stages of the backbone from this one on are trained (nn::MobileNetV2); kStages: the head alone.
  int first_trained_stage = nn::MobileNetV2::kStages;
  // Bytes that tensors may take in a step, or 0: no limit. See nn::MobileNetV2::fit_memory.
  std::int64_t memory_budget = 0;
  // Whether trained batch norms keep the running statistics they came with (fine-tuning).
  bool keep_statistics = true;
  // Where the model runs: the trainer moves it there.
  kernels::Device* device = &kernels::cpu_device();
  int shards = 1;  // pieces of a batch (ShardedStep)
};

struct EpochResult {
  double loss = 0, accuracy = 0;  // of the training part, as it was trained on
  double validation_loss = 0, validation_accuracy = 0;  // of all validation images
};

// Class probabilities [n, classes] as a model gives them, and their mean cross-entropy.
struct Evaluation {
  std::vector<int> labels, predictions;
  nn::Tensor probabilities;
  double loss = 0;
  double accuracy() const;
};

// Of each class of the model, the column in the teacher's answers. std::invalid_argument for a
// teacher with other classes, another input size or another preprocessing.
std::vector<int> teacher_columns(const nn::ClassifierOptions& model,
                                 const nn::ClassifierOptions& teacher);

class Trainer {
 public:
  // Called after each batch with the means so far.
  using Progress = std::function<void(int batch, int batches, double loss, double accuracy)>;

  // Keeps references to all but the options. Throws std::invalid_argument for a model without a
  // mask head (nn::HeadKind::mask), or with another number of classes than the data set, and what
  // teacher_columns throws. Every rank makes the same calls on a model of the same values, and
  // comes to the same result.
  Trainer(nn::Classifier& model, const LoadedDataset& data, const Split& split,
          const TrainingOptions& options, kernels::Communicator& communicator);

  // Trains one epoch, counted from 0, and evaluates. Throws std::domain_error when a loss is no
  // longer finite, RankFault where another rank is lost.
  EpochResult run_epoch(int epoch, const Progress& progress);
  // Over the validation images, without augmentation.
  Evaluation evaluate();

  // Optimiser moments and the step, to go on from after an epoch.
  nn::StateDict optimizer_state() const { return optimizer_.state(); }
  std::int64_t steps_taken() const { return optimizer_.steps_taken(); }
  void restore(const nn::StateDict& optimizer_state, std::int64_t steps_taken);

  // Bytes that this rank sends to others in a step.
  std::int64_t bytes_sent() const { return step_.bytes_sent(); }

  double learning_rate() const { return options_.schedule.at(optimizer_.steps_taken()); }

 private:
  bool head_only() const { return options_.first_trained_stage >= nn::MobileNetV2::kStages; }
  // A plan of the stages before `end`, then the pool if that is all of them.
  nn::Plan plan_until(int end) const;
  nn::Tensor run_frozen(const nn::Tensor& inputs);
  nn::Tensor forward_trained(const nn::Tensor& x);
  // Probabilities [n, classes] that the loss compares with.
  nn::Tensor learned_targets(const Batch& data, const nn::Tensor& inputs);
  // Of the next step.
  ShardLoss loss_of(const Batch& data, int shard);
  // What the head takes, of all validation images.
  nn::Tensor validation_features();
  Evaluation evaluation_of(const nn::Tensor& logits) const;

  nn::Classifier& model_;
  const LoadedDataset& data_;
  const Split& split_;
  TrainingOptions options_;
  kernels::Communicator& communicator_;
  nn::Adam optimizer_;
  ShardedStep step_;
  std::optional<nn::Plan> frozen_;   // none where all is trained
  std::optional<nn::Plan> teacher_;  // none without one
  std::vector<int> teacher_columns_;
  std::optional<nn::Tensor>
      validation_features_;  // of the frozen part, where nothing behind it but the head
};

}  // namespace maskwatch::apps
