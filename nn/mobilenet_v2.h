// MobileNetV2 (Sandler et al. 2018) of any width and input size, in Keras' and PyTorch's flavours.
//
// A stage is what freezing and plans cut at: 0 is the stem (3×3 stride 2), 1..17 the inverted
// residual blocks, 18 the last 1×1 convolution. State: stem.conv.*, stem.bn.*,
// blocks.I.{expand,expand_bn,depthwise,depthwise_bn,project,project_bn}.*, last.conv.*, last.bn.*
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/layers.h"
#include "nn/preprocessing.h"

namespace maskwatch::nn {

// The nearest multiple of `divisor`, at least `divisor` and no more than 10 % below `value`.
std::int64_t make_divisible(double value, std::int64_t divisor = 8);

// Channels behind the stem, before the last convolution and behind it.
struct MobileNetV2Channels {
  std::int64_t stem, before_last, features;
};
MobileNetV2Channels mobilenet_v2_channels(double width);

struct MobileNetV2Options {
  double width = 1.0;  // multiplies the channels of every layer
  int input_size = 224;
  Padding padding = Padding::tf;
  BatchNormOptions batch_norm = {};
  Preprocessing preprocessing = Preprocessing::tf;
  bool has_last = true;  // false: it ends behind the last block, without stage 18
};

// expand 1×1 → depthwise 3×3 → project 1×1, with the input added where shapes allow it.
class InvertedResidual : public Module {
 public:
  InvertedResidual(std::int64_t in, std::int64_t out, int stride, int expansion,
                   const MobileNetV2Options& options, Random& random);
  Tensor forward(const Tensor& x) override;
  Value lower(PlanBuilder& builder, Value x) const override;
  // The first block, which does not expand, with the network's first layer in front.
  Value lower_behind(PlanBuilder& builder, Value x, const ConvBatchNorm& stem) const;

  // The two parts of a block that expands and adds no input: detectors read what lies between.
  Tensor forward_expansion(const Tensor& x);
  Tensor forward_behind_expansion(const Tensor& expanded);
  Value lower_expansion(PlanBuilder& builder, Value x) const;
  Value lower_behind_expansion(PlanBuilder& builder, Value expanded) const;
  std::int64_t expanded_channels() const { return depthwise_.convolution.options().in; }

 private:
  friend class MobileNetV2;
  // `middle`: what the depthwise layer reads.
  PlanBuilder::Block folded(const PictureShape& middle) const;

  bool has_residual_;
  std::unique_ptr<ConvBatchNorm> expand_;  // none where expansion is 1
  ConvBatchNorm depthwise_, project_;
};

class MobileNetV2 : public Module {
 public:
  static constexpr int kStages = 19;

  // std::invalid_argument for a width that is not in (0, 8] or an input size not in
  // 32..4096.
  MobileNetV2(const MobileNetV2Options& options, Random& random);

  // x[n, size, size, 3], preprocessed, to features [n, size/32, size/32, feature_channels()]
  // (rounded up).
  Tensor forward(const Tensor& x) override { return forward(x, 0, stages()); }
  Value lower(PlanBuilder& builder, Value x) const override {
    return lower(builder, x, 0, stages());
  }
  // Stages begin .. end-1 alone.
  Tensor forward(const Tensor& x, int begin, int end);
  Value lower(PlanBuilder& builder, Value x, int begin, int end) const;
  // The whole network and the global average pool behind it, whose input is never written to
  // memory.
  Value lower_pooled(PlanBuilder& builder, Value x) const;

  // Freezes the stages before `first_trained`. The others are trained with their batch norms
  // keeping the running statistics, if so asked.
  void freeze_before(int first_trained, bool keep_statistics);

  // Decides which stages keep nothing but their result for backward(), and run again there, so
  // that a training step on `batch` pictures of the stages from first_trained on holds at most
  // `budget` bytes in tensors; or as few as can be, if that is more. Gradients stay the same
  // bytes. Returns what a step will hold, about.
  std::int64_t fit_memory(std::int64_t batch, int first_trained, std::int64_t budget);
  int recomputed_stages() const;

  // kStages, or one less without the last.
  int stages() const { return static_cast<int>(stages_.size()); }
  // Of stage index + 1; 0 <= index < 17.
  InvertedResidual& block(int index) { return *blocks_[static_cast<std::size_t>(index)]; }
  const InvertedResidual& block(int index) const {
    return *blocks_[static_cast<std::size_t>(index)];
  }
  // Of what the last stage gives.
  std::int64_t feature_channels() const { return feature_channels_; }
  const MobileNetV2Options& options() const { return options_; }

 private:
  struct Convolution : Module {
    Convolution(const ConvBatchNorm::Options& options, Random& random);
    Tensor forward(const Tensor& x) override { return layer.forward(x); }
    Value lower(PlanBuilder& builder, Value x) const override { return layer.lower(builder, x); }
    ConvBatchNorm layer;
  };

  MobileNetV2Options options_;
  std::int64_t feature_channels_;
  std::unique_ptr<Convolution> stem_, last_;
  std::vector<std::unique_ptr<InvertedResidual>> blocks_;
  std::vector<Module*> stages_;
  std::vector<std::vector<BatchNorm*>> batch_norms_;  // of each stage
  std::vector<bool> recomputed_;                      // of each stage
};

}  // namespace maskwatch::nn
