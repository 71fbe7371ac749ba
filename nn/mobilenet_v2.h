// MobileNetV2 (Sandler et al. 2018) of any width and input size, in Keras' and PyTorch's flavours.
//
// Stages are the units in which the network is frozen and compiled: 0 is the stem (3×3 stride
// 2), 1..17 the inverted residual blocks, 18 the last 1×1 convolution. State: stem.conv.*,
// stem.bn.*, blocks.I.{expand,expand_bn,depthwise,depthwise_bn,project,project_bn}.*, last.conv.*,
// last.bn.*
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "nn/layers.h"
#include "nn/memory_budget.h"
#include "nn/ops/check.h"
#include "nn/ops/recompute.h"
#include "nn/preprocessing.h"

namespace maskwatch::nn {

// The nearest multiple of `divisor`, at least `divisor` and no more than 10 % below `value`.
inline std::int64_t make_divisible(double value, std::int64_t divisor = 8) {
  const auto nearest =
      static_cast<std::int64_t>(value + static_cast<double>(divisor) / 2) / divisor * divisor;
  const std::int64_t result = std::max(divisor, nearest);
  return static_cast<double>(result) < 0.9 * value ? result + divisor : result;
}

// Table 2 of the paper: expansion, channels, repeats, stride of the first repeat.
struct MobileNetV2Group {
  int expansion, channels, repeats, stride;
};
constexpr MobileNetV2Group kMobileNetV2Groups[] = {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2},
                                                   {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2},
                                                   {6, 320, 1, 1}};

// Channels behind the stem, before the last convolution and behind it.
struct MobileNetV2Channels {
  std::int64_t stem, before_last, features;
};

inline MobileNetV2Channels mobilenet_v2_channels(double width) {
  constexpr int kStem = 32, kLast = 1280;
  return {make_divisible(kStem * width),
          make_divisible(std::end(kMobileNetV2Groups)[-1].channels * width),
          std::max<std::int64_t>(kLast, make_divisible(kLast * width))};
}

struct MobileNetV2Options {
  double width = 1.0;  // multiplies the channels of every layer
  int input_size = 224;
  Padding padding = Padding::tf;
  BatchNormOptions batch_norm = {};
  Preprocessing preprocessing = Preprocessing::tf;
  bool has_last = true;  // false: it ends behind the last block, without stage 18

  ConvBatchNorm::Options layer(ConvKind kind, std::int64_t in, std::int64_t out, int stride,
                               Activation activation) const {
    return {kind, in, out, stride, padding, activation, batch_norm};
  }
};

// expand 1×1 → depthwise 3×3 → project 1×1, with the input added where shapes allow it.
class InvertedResidual : public TraceableModule {
 public:
  InvertedResidual(std::int64_t in, std::int64_t out, int stride, int expansion,
                   const MobileNetV2Options& options, Random& random)
      : has_residual_(stride == 1 && in == out),
        expand_(expansion == 1 ? nullptr
                               : std::make_unique<ConvBatchNorm>(
                                     options.layer(ConvKind::pointwise, in, in * expansion, 1,
                                                   Activation::relu6),
                                     random)),
        depthwise_(options.layer(ConvKind::depthwise3x3, in * expansion, in * expansion, stride,
                                 Activation::relu6),
                   random),
        project_(options.layer(ConvKind::pointwise, in * expansion, out, 1, Activation::none),
                 random) {
    const auto add = [this](const std::string& name, ConvBatchNorm& part) {
      add_module(name, part.convolution);
      add_module(name + "_bn", part.batch_norm);
    };
    if (expand_) add("expand", *expand_);
    add("depthwise", depthwise_);
    add("project", project_);
  }

  Tensor forward(const Tensor& x) override {
    std::vector<ConvBatchNormLayer> layers;
    if (expand_) layers.push_back(expand_->layer());
    layers.push_back(depthwise_.layer());
    layers.push_back(project_.layer());
    return conv_batch_norms(x, layers, has_residual_);
  }

  Value trace(Graph& graph, Value x) const override {
    const Value y = trace_behind_expansion(graph, expand_ ? expand_->trace(graph, x) : x);
    return has_residual_ ? graph.add(op::Add{}, {x, y}) : y;
  }

  // The two parts of a block that expands and adds no input: detectors read what lies between.
  Tensor forward_expansion(const Tensor& x) { return expand_->forward(x); }
  Value trace_expansion(Graph& graph, Value x) const { return expand_->trace(graph, x); }
  Tensor forward_behind_expansion(const Tensor& expanded) {
    return conv_batch_norms(expanded, {depthwise_.layer(), project_.layer()});
  }
  Value trace_behind_expansion(Graph& graph, Value expanded) const {
    return project_.trace(graph, depthwise_.trace(graph, expanded));
  }
  std::int64_t expanded_channels() const { return depthwise_.convolution.options().in; }

 private:
  friend class MobileNetV2;

  bool has_residual_;
  std::unique_ptr<ConvBatchNorm> expand_;  // none where expansion is 1
  ConvBatchNorm depthwise_, project_;
};

class MobileNetV2 : public TraceableModule {
 public:
  static constexpr int kStages = 19;

  // std::invalid_argument for a width that is not in (0, 8] or an input size not in
  // 32..4096.
  MobileNetV2(const MobileNetV2Options& options, Random& random) : options_(options) {
    require_number(options.width > 0 && options.width <= 8, "MobileNetV2", "width", options.width,
                   "(0, 8]");
    require_number(options.input_size >= 32 && options.input_size <= 4096, "MobileNetV2",
                   "input size", options.input_size, "32..4096");
    const MobileNetV2Channels ends = mobilenet_v2_channels(options.width);
    stem_ = std::make_unique<Convolution>(
        options.layer(ConvKind::full3x3, 3, ends.stem, 2, Activation::relu6), random);
    add_stage("stem", *stem_, {&stem_->layer.batch_norm});
    add_blocks(ends.stem, random);
    feature_channels_ = ends.before_last;
    if (options.has_last) {
      feature_channels_ = ends.features;
      last_ = std::make_unique<Convolution>(
          options.layer(ConvKind::pointwise, ends.before_last, ends.features, 1, Activation::relu6),
          random);
      add_stage("last", *last_, {&last_->layer.batch_norm});
    }
    recomputed_.assign(stages_.size(), false);
  }

  // x[n, size, size, 3], preprocessed, to features [n, size/32, size/32, feature_channels()]
  // (rounded up).
  Tensor forward(const Tensor& x) override { return forward(x, 0, stages()); }
  Value trace(Graph& graph, Value x) const override { return trace(graph, x, 0, stages()); }

  // Stages begin .. end-1 alone.
  Tensor forward(const Tensor& x, int begin, int end) {
    Tensor y = x;
    for (int i = begin; i < end; ++i) {
      Module& stage = *stages_[static_cast<std::size_t>(i)];
      y = recomputed_[static_cast<std::size_t>(i)]
              ? recomputed(y, stage.trainable_parameters(),
                           [&stage](const Tensor& in) { return stage.forward(in); })
              : stage.forward(y);
    }
    return y;
  }

  Value trace(Graph& graph, Value x, int begin, int end) const {
    for (int i = begin; i < end; ++i) x = stages_[static_cast<std::size_t>(i)]->trace(graph, x);
    return x;
  }

  // The whole network and the global average pool behind it.
  Value trace_pooled(Graph& graph, Value x) const {
    return graph.add(op::GlobalAveragePool{}, {trace(graph, x)});
  }

  // Freezes the stages before `first_trained`. The others are trained with their batch norms
  // keeping the running statistics, if so asked.
  void freeze_before(int first_trained, bool keep_statistics) {
    for (int i = 0; i < stages(); ++i) {
      const auto stage = static_cast<std::size_t>(i);
      stages_[stage]->freeze(i < first_trained);
      for (BatchNorm* batch_norm : batch_norms_[stage])
        batch_norm->keep_statistics(keep_statistics);
    }
  }

  // Decides which stages keep nothing but their result for backward(), and run again there, so
  // that a training step on `batch` pictures of the stages from first_trained on holds at most
  // `budget` bytes in tensors, with Adam's moments; or as few as can be, if that is more. Gradients
  // stay the same bytes. Returns what a step will hold, about. Runs the stages once to measure
  // them, as measure_stages() (nn/memory_budget.h) says.
  std::int64_t fit_memory(std::int64_t batch, int first_trained, std::int64_t budget) {
    recomputed_.assign(stages_.size(), false);
    Tensor x = Tensor::zeros({batch, options_.input_size, options_.input_size, 3},
                             stem_->layer.convolution.weight().device());
    constexpr std::int64_t kTrainedCopies = 3;  // gradient and two moments
    std::int64_t fixed = x.count() + parameter_count();
    for (const Tensor& parameter : trainable_parameters())
      fixed += kTrainedCopies * parameter.count();
    fixed *= static_cast<std::int64_t>(sizeof(float));
    const auto before_trained = [&] {
      const RecordingScope nothing(Recording::off);
      return forward(x, 0, first_trained);
    };
    x = before_trained();
    if (0 < first_trained && first_trained < stages())
      fixed += x.count() * static_cast<std::int64_t>(sizeof(float));
    const std::vector<Module*> trained(stages_.begin() + first_trained, stages_.end());
    const MemoryPlan plan = plan_memory(measure_stages(trained, std::move(x)), budget - fixed);
    std::copy(plan.recomputed.begin(), plan.recomputed.end(), recomputed_.begin() + first_trained);
    return plan.bytes + fixed;
  }

  int recomputed_stages() const {
    return static_cast<int>(std::count(recomputed_.begin(), recomputed_.end(), true));
  }

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
  struct Convolution : TraceableModule {
    Convolution(const ConvBatchNorm::Options& options, Random& random) : layer(options, random) {
      add_module("conv", layer.convolution);
      add_module("bn", layer.batch_norm);
    }
    Tensor forward(const Tensor& x) override { return layer.forward(x); }
    Value trace(Graph& graph, Value x) const override { return layer.trace(graph, x); }
    ConvBatchNorm layer;
  };

  void add_stage(const std::string& name, TraceableModule& stage,
                 std::vector<BatchNorm*> batch_norms) {
    add_module(name, stage);
    stages_.push_back(&stage);
    batch_norms_.push_back(std::move(batch_norms));
  }

  void add_blocks(std::int64_t channels, Random& random) {
    for (const MobileNetV2Group& group : kMobileNetV2Groups) {
      const std::int64_t out = make_divisible(group.channels * options_.width);
      for (int repeat = 0; repeat < group.repeats; ++repeat) {
        blocks_.push_back(std::make_unique<InvertedResidual>(
            channels, out, repeat == 0 ? group.stride : 1, group.expansion, options_, random));
        InvertedResidual& block = *blocks_.back();
        std::vector<BatchNorm*> batch_norms = {&block.depthwise_.batch_norm,
                                               &block.project_.batch_norm};
        if (block.expand_) batch_norms.push_back(&block.expand_->batch_norm);
        add_stage("blocks." + std::to_string(blocks_.size() - 1), block, std::move(batch_norms));
        channels = out;
      }
    }
  }

  MobileNetV2Options options_;
  std::int64_t feature_channels_ = 0;
  std::unique_ptr<Convolution> stem_, last_;
  std::vector<std::unique_ptr<InvertedResidual>> blocks_;
  std::vector<TraceableModule*> stages_;
  std::vector<std::vector<BatchNorm*>> batch_norms_;  // of each stage
  std::vector<bool> recomputed_;                      // of each stage
};

}  // namespace maskwatch::nn
