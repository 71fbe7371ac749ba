#include "apps/training/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "apps/common/share.h"
#include "base/random.h"
#include "nn/ops.h"

namespace maskwatch::apps {
namespace {

constexpr int kEvaluationBatch = 32;
constexpr std::uint64_t kDropoutStream = 0x64726f70;

void check_head(nn::Classifier& model, const Dataset& dataset) {
  if (model.mask_head() == nullptr)
    throw std::invalid_argument("Trainer: the model needs a head of kind mask to be trained");
  if (model.options().labels.size() != dataset.classes.size())
    throw std::invalid_argument(fmt::format("Trainer: a model of {} classes for a data set of {}",
                                            model.options().labels.size(), dataset.classes.size()));
}

std::vector<nn::Tensor> prepare(nn::Classifier& model, const Dataset& dataset,
                                const TrainingOptions& options) {
  check_head(model, dataset);
  model.to(*options.device);
  nn::MobileNetV2& backbone = model.backbone();
  backbone.freeze_before(options.first_trained_stage, options.keep_statistics);
  if (options.memory_budget > 0)
    backbone.fit_memory((options.batch_size + options.shards - 1) / options.shards,
                        options.first_trained_stage, options.memory_budget);
  return model.trainable_parameters();
}

int argmax(const float* row, std::int64_t classes) {
  return static_cast<int>(std::max_element(row, row + classes) - row);
}

int correct(const nn::Tensor& outputs, const std::vector<int>& labels) {
  const nn::Tensor logits = outputs.detach().cpu();
  int count = 0;
  for (std::size_t i = 0; i < labels.size(); ++i)
    count += argmax(logits.data() + static_cast<std::int64_t>(i) * logits.dim(1), logits.dim(1)) ==
             labels[i];
  return count;
}

nn::Tensor smoothed(const nn::Tensor& targets, double smoothing) {
  if (smoothing <= 0) return targets;
  nn::Tensor soft = targets.clone();
  const auto share = smoothing / static_cast<double>(targets.dim(1));
  for (std::int64_t i = 0; i < soft.count(); ++i)
    soft.data()[i] = static_cast<float>((1 - smoothing) * soft.data()[i] + share);
  return soft;
}

// Rows [n, features] of a plan that ends with the pool.
nn::Tensor run_pooled(nn::Plan& plan, const nn::Tensor& inputs) {
  const nn::Tensor features = plan.run_all(inputs).front();
  return features.reshaped({features.dim(0), features.dim(3)});
}

std::vector<std::vector<int>> in_pieces(const std::vector<int>& indices, std::size_t size) {
  std::vector<std::vector<int>> pieces;
  for (std::size_t begin = 0; begin < indices.size(); begin += size)
    pieces.emplace_back(
        indices.begin() + static_cast<std::ptrdiff_t>(begin),
        indices.begin() + static_cast<std::ptrdiff_t>(std::min(indices.size(), begin + size)));
  return pieces;
}

}  // namespace

double Evaluation::accuracy() const {
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += labels[i] == predictions[i];
  return labels.empty() ? 0 : static_cast<double>(right) / static_cast<double>(labels.size());
}

std::vector<int> teacher_columns(const nn::ClassifierOptions& model,
                                 const nn::ClassifierOptions& teacher) {
  if (teacher.backbone.input_size != model.backbone.input_size)
    throw std::invalid_argument(fmt::format("the teacher looks at pictures of {} pixels, not {}",
                                            teacher.backbone.input_size,
                                            model.backbone.input_size));
  if (teacher.backbone.preprocessing != model.backbone.preprocessing)
    throw std::invalid_argument("the teacher prepares pixels in another way");
  std::vector<int> columns;
  for (const std::string& label : model.labels) {
    const auto found = std::ranges::find(teacher.labels, label);
    if (found == teacher.labels.end())
      throw std::invalid_argument("the teacher has no class " + label);
    columns.push_back(static_cast<int>(found - teacher.labels.begin()));
  }
  if (teacher.labels.size() != model.labels.size())
    throw std::invalid_argument(fmt::format("the teacher has {} classes, not {}",
                                            teacher.labels.size(), model.labels.size()));
  return columns;
}

Trainer::Trainer(nn::Classifier& model, const LoadedDataset& data, const Split& split,
                 const TrainingOptions& options, kernels::Communicator& communicator)
    : model_(model),
      data_(data),
      split_(split),
      options_(options),
      communicator_(communicator),
      optimizer_(prepare(model, data.dataset, options)),
      step_(model, options.shards, communicator) {
  if (options_.first_trained_stage > 0) frozen_.emplace(plan_until(options_.first_trained_stage));
  if (options_.teacher == nullptr) return;
  teacher_columns_ = teacher_columns(model.options(), options_.teacher->options());
  teacher_.emplace(options_.teacher->compile(kEvaluationBatch, *options_.device));
}

nn::Plan Trainer::plan_until(int end) const {
  const nn::MobileNetV2& backbone = model_.backbone();
  nn::Graph graph(model_.input_shape());
  graph.output(end == nn::MobileNetV2::kStages ? backbone.trace_pooled(graph, graph.input())
                                               : backbone.trace(graph, graph.input(), 0, end));
  return nn::Plan(nn::fuse(graph), kEvaluationBatch, *options_.device);
}

nn::Tensor Trainer::run_frozen(const nn::Tensor& inputs) {
  if (!frozen_) return inputs;
  return head_only() ? run_pooled(*frozen_, inputs) : frozen_->run_all(inputs).front();
}

nn::Tensor Trainer::forward_trained(const nn::Tensor& x) {
  if (head_only()) return model_.mask_head()->forward(x);
  return model_.forward_head(
      model_.backbone().forward(x, options_.first_trained_stage, nn::MobileNetV2::kStages));
}

nn::Tensor Trainer::learned_targets(const Batch& data, const nn::Tensor& inputs) {
  nn::Tensor targets = smoothed(data.targets, options_.label_smoothing);
  if (!teacher_) return targets;
  const nn::Tensor answers = teacher_->run_all(inputs).front().cpu();
  const std::int64_t classes = targets.dim(1);
  nn::Tensor mixed = nn::Tensor::empty(targets.shape());
  for (std::int64_t row = 0; row < targets.dim(0); ++row)
    for (std::int64_t i = 0; i < classes; ++i) {
      const auto column = teacher_columns_[static_cast<std::size_t>(i)];
      mixed.data()[row * classes + i] =
          static_cast<float>((1 - options_.teacher_share) * targets.data()[row * classes + i] +
                             options_.teacher_share * answers.data()[row * classes + column]);
    }
  return mixed;
}

ShardLoss Trainer::loss_of(const Batch& data, int shard) {
  if (data.labels.empty()) return {};
  const nn::Tensor inputs = data.inputs.to(*options_.device);
  const nn::Tensor x = run_frozen(inputs);
  const std::uint64_t seed = random_bits(options_.seed ^ kDropoutStream,
                                         static_cast<std::uint64_t>(optimizer_.steps_taken()));
  // Not the same mask for every shard.
  model_.mask_head()->set_dropout_seed(
      options_.shards == 1 ? seed : random_bits(seed, static_cast<std::uint64_t>(shard)));
  const nn::Tensor logits = forward_trained(x);
  return {nn::softmax_cross_entropy(logits, learned_targets(data, inputs).to(*options_.device)),
          std::ssize(data.labels),
          {{"right", correct(logits, data.labels)}}};
}

EpochResult Trainer::run_epoch(int epoch, const Progress& progress) {
  model_.train();
  BatchLoader loader(data_, split_.train,
                     {options_.batch_size, options_.seed, model_.options().backbone.preprocessing,
                      options_.augment, options_.augmented, options_.light, options_.faces,
                      step_.range(), options_.device},
                     static_cast<std::uint64_t>(epoch));
  double loss_sum = 0, right = 0;
  std::int64_t seen = 0;
  for (int batch = 0; batch < loader.batches(); ++batch) {
    const ShardedStep::Result result =
        step_.run([&](int shard) { return loss_of(loader.next(), shard); });
    if (!std::isfinite(result.loss))
      throw std::domain_error(
          fmt::format("the loss is no longer finite in epoch {}, batch {} (choose a smaller --lr)",
                      epoch + 1, batch + 1));
    optimizer_.step(learning_rate());
    for (const ShardedStep::Shard& shard : result.shards) {
      if (!shard.filled) continue;
      loss_sum += shard.loss * static_cast<double>(shard.count);
      right += shard.figures.front().second;
      seen += shard.count;
    }
    progress(batch + 1, loader.batches(), loss_sum / static_cast<double>(seen),
             right / static_cast<double>(seen));
  }
  optimizer_.zero_grad();
  const Evaluation validation = evaluate();
  if (!std::isfinite(validation.loss))
    throw std::domain_error(fmt::format(
        "the validation loss is no longer finite after epoch {} (choose a smaller --lr)",
        epoch + 1));
  return {loss_sum / static_cast<double>(seen), right / static_cast<double>(seen), validation.loss,
          validation.accuracy()};
}

nn::Tensor Trainer::validation_features() {
  const nn::Preprocessing preprocessing = model_.options().backbone.preprocessing;
  nn::Plan plan = plan_until(nn::MobileNetV2::kStages);
  const auto pieces = in_pieces(split_.validation, kEvaluationBatch);
  const std::vector<std::string> rows = share_out(communicator_, pieces.size(), [&](std::size_t i) {
    const nn::Tensor features = run_pooled(plan, inputs_of(data_, pieces[i], preprocessing));
    return std::string(reinterpret_cast<const char*>(features.data()),
                       static_cast<std::size_t>(features.count()) * sizeof(float));
  });
  std::string all;
  for (const std::string& piece : rows) all += piece;
  const auto count = static_cast<std::int64_t>(split_.validation.size());
  const nn::Tensor features =
      nn::Tensor::empty({count, static_cast<std::int64_t>(all.size() / sizeof(float)) / count});
  std::memcpy(features.data(), all.data(), all.size());
  return features;
}

Evaluation Trainer::evaluate() {
  // Behind a frozen backbone the features of an image never change.
  const nn::Tensor features =
      validation_features_ ? *validation_features_ : validation_features().to(*options_.device);
  if (head_only()) validation_features_ = features;
  model_.eval();
  return evaluation_of(model_.mask_head()->forward(features).detach().cpu());
}

Evaluation Trainer::evaluation_of(const nn::Tensor& logits) const {
  Evaluation evaluation;
  for (const int index : split_.validation)
    evaluation.labels.push_back(data_.dataset.images[static_cast<std::size_t>(index)].label);
  const std::int64_t classes = logits.dim(1);
  evaluation.loss =
      nn::softmax_cross_entropy(logits.detach(), targets_of(evaluation.labels, classes)).item();
  evaluation.probabilities = nn::softmax(logits.detach());
  for (std::int64_t row = 0; row < logits.dim(0); ++row)
    evaluation.predictions.push_back(argmax(logits.data() + row * classes, classes));
  return evaluation;
}

void Trainer::restore(const nn::StateDict& optimizer_state, std::int64_t steps_taken) {
  optimizer_.load_state(optimizer_state, steps_taken);
}

}  // namespace maskwatch::apps
