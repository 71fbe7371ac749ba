#include "nn/mobilenet_v2.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace maskwatch::nn {
namespace {

// Table 2 of the paper: expansion, channels, repeats, stride of the first repeat.
struct BlockGroup {
  int expansion, channels, repeats, stride;
};
constexpr BlockGroup kBlockGroups[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                       {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
constexpr int kStemChannels = 32;
constexpr int kLastChannels = 1280;

ConvBatchNorm::Options layer(const MobileNetV2Options& options, ConvKind kind, std::int64_t in,
                             std::int64_t out, int stride, Activation activation) {
  return {kind, in, out, stride, options.padding, activation, options.batch_norm};
}

// Numbers that a stage holds for one picture.
struct StageMemory {
  std::int64_t kept;      // for its backward(), with its result
  std::int64_t result;    // alone
  std::int64_t backward;  // the most while its gradient is taken, or its forward run again for that
};

// Of a block, from the numbers that its input, expansion, depthwise convolution and projection
// make: conv_batch_norms() keeps what each convolution made until its gradient is taken, with two
// gradients and that of the block's result.
StageMemory block_memory(std::int64_t in, std::int64_t expanded, std::int64_t filtered,
                         std::int64_t out) {
  const std::int64_t made = expanded + filtered + out;
  const std::int64_t project = made + filtered, depthwise = 2 * filtered + 2 * expanded;
  const std::int64_t first = expanded > 0 ? 2 * expanded + in : 2 * filtered + in;
  return {made + out, out, out + std::max({made + out, project, depthwise, first})};
}

std::vector<StageMemory> stage_memory(const MobileNetV2Options& options) {
  const auto halved = [](std::int64_t side) { return (side + 1) / 2; };
  const MobileNetV2Channels ends = mobilenet_v2_channels(options.width);
  std::int64_t side = halved(options.input_size), channels = ends.stem;
  const std::int64_t stem = side * side * channels;
  std::vector<StageMemory> stages = {{2 * stem, stem, 3 * stem}};
  for (const BlockGroup& group : kBlockGroups)
    for (int repeat = 0; repeat < group.repeats; ++repeat) {
      const std::int64_t hidden = channels * group.expansion, before = side * side;
      const std::int64_t out = make_divisible(group.channels * options.width);
      if (repeat == 0 && group.stride == 2) side = halved(side);
      const std::int64_t after = side * side;
      stages.push_back(block_memory(before * channels, group.expansion > 1 ? before * hidden : 0,
                                    after * hidden, after * out));
      channels = out;
    }
  if (!options.has_last) return stages;
  const std::int64_t last = side * side * ends.features;
  stages.push_back({2 * last, last, 2 * last + side * side * channels});
  return stages;
}

// The most numbers that a step holds for one picture, and the stage whose gradient is being taken
// then.
struct Peak {
  std::int64_t count = 0;
  std::size_t stage = 0;
};

Peak peak_of(const std::vector<StageMemory>& stages, const std::vector<bool>& recomputed,
             std::size_t first) {
  Peak peak;
  std::int64_t held = 0;
  for (std::size_t i = first; i < stages.size(); ++i) {
    const StageMemory& stage = stages[i];
    const std::int64_t here = held + stage.backward;
    if (here > peak.count) peak = {here, i};
    held += recomputed[i] ? stage.result : stage.kept;
  }
  return peak;
}

}  // namespace

std::int64_t make_divisible(double value, std::int64_t divisor) {
  const auto nearest =
      static_cast<std::int64_t>(value + static_cast<double>(divisor) / 2) / divisor * divisor;
  const std::int64_t result = std::max(divisor, nearest);
  return static_cast<double>(result) < 0.9 * value ? result + divisor : result;
}

MobileNetV2Channels mobilenet_v2_channels(double width) {
  return {make_divisible(kStemChannels * width),
          make_divisible(std::end(kBlockGroups)[-1].channels * width),
          std::max<std::int64_t>(kLastChannels, make_divisible(kLastChannels * width))};
}

InvertedResidual::InvertedResidual(std::int64_t in, std::int64_t out, int stride, int expansion,
                                   const MobileNetV2Options& options, Random& random)
    : has_residual_(stride == 1 && in == out),
      expand_(expansion == 1
                  ? nullptr
                  : std::make_unique<ConvBatchNorm>(layer(options, ConvKind::pointwise, in,
                                                          in * expansion, 1, Activation::relu6),
                                                    random)),
      depthwise_(layer(options, ConvKind::depthwise3x3, in * expansion, in * expansion, stride,
                       Activation::relu6),
                 random),
      project_(layer(options, ConvKind::pointwise, in * expansion, out, 1, Activation::none),
               random) {
  const auto add = [this](const std::string& name, ConvBatchNorm& part) {
    add_module(name, part.convolution);
    add_module(name + "_bn", part.batch_norm);
  };
  if (expand_) add("expand", *expand_);
  add("depthwise", depthwise_);
  add("project", project_);
}

Tensor InvertedResidual::forward(const Tensor& x) {
  std::vector<ConvBatchNormLayer> layers;
  if (expand_) layers.push_back(expand_->layer());
  layers.push_back(depthwise_.layer());
  layers.push_back(project_.layer());
  return conv_batch_norms(x, layers, has_residual_);
}

PlanBuilder::Block InvertedResidual::folded(const PictureShape& middle) const {
  PlanBuilder::Block block;
  if (expand_) block.expand = expand_->folded();
  block.depthwise = depthwise_.folded();
  block.project = project_.folded();
  block.depthwise_conv = depthwise_.convolution.shape_for(middle);
  block.residual = has_residual_;
  return block;
}

Value InvertedResidual::lower(PlanBuilder& builder, Value x) const {
  return builder.inverted_residual(x, folded(builder.shape(x)));
}

Value InvertedResidual::lower_behind(PlanBuilder& builder, Value x,
                                     const ConvBatchNorm& stem) const {
  const kernels::ConvShape conv = stem.convolution.shape_for(builder.shape(x));
  PlanBuilder::Block block = folded({conv.out_height, conv.out_width, conv.out_channels});
  block.expand = stem.folded();
  block.expand_conv = conv;
  return builder.inverted_residual(x, block);
}

Tensor InvertedResidual::forward_expansion(const Tensor& x) { return expand_->forward(x); }

Tensor InvertedResidual::forward_behind_expansion(const Tensor& expanded) {
  return conv_batch_norms(expanded, {depthwise_.layer(), project_.layer()});
}

Value InvertedResidual::lower_expansion(PlanBuilder& builder, Value x) const {
  return expand_->lower(builder, x);
}

Value InvertedResidual::lower_behind_expansion(PlanBuilder& builder, Value expanded) const {
  PlanBuilder::Block block = folded(builder.shape(expanded));
  block.expand = {};
  return builder.inverted_residual(expanded, block);
}

MobileNetV2::Convolution::Convolution(const ConvBatchNorm::Options& options, Random& random)
    : layer(options, random) {
  add_module("conv", layer.convolution);
  add_module("bn", layer.batch_norm);
}

MobileNetV2::MobileNetV2(const MobileNetV2Options& options, Random& random) : options_(options) {
  if (!(options.width > 0 && options.width <= 8))
    throw std::invalid_argument(
        fmt::format("MobileNetV2: width {} is not in (0, 8]", options.width));
  if (options.input_size < 32 || options.input_size > 4096)
    throw std::invalid_argument(
        fmt::format("MobileNetV2: input size {} is not in 32..4096", options.input_size));
  std::int64_t channels = mobilenet_v2_channels(options.width).stem;
  stem_ = std::make_unique<Convolution>(
      layer(options, ConvKind::full3x3, 3, channels, 2, Activation::relu6), random);
  add_module("stem", *stem_);
  stages_.push_back(stem_.get());
  batch_norms_.push_back({&stem_->layer.batch_norm});
  for (const BlockGroup& group : kBlockGroups) {
    const std::int64_t out = make_divisible(group.channels * options.width);
    for (int repeat = 0; repeat < group.repeats; ++repeat) {
      blocks_.push_back(std::make_unique<InvertedResidual>(
          channels, out, repeat == 0 ? group.stride : 1, group.expansion, options, random));
      InvertedResidual& block = *blocks_.back();
      add_module(fmt::format("blocks.{}", blocks_.size() - 1), block);
      stages_.push_back(&block);
      batch_norms_.push_back({&block.depthwise_.batch_norm, &block.project_.batch_norm});
      if (block.expand_) batch_norms_.back().push_back(&block.expand_->batch_norm);
      channels = out;
    }
  }
  feature_channels_ = channels;
  recomputed_.assign(stages_.size(), false);
  if (!options.has_last) return;
  feature_channels_ = mobilenet_v2_channels(options.width).features;
  last_ = std::make_unique<Convolution>(
      layer(options, ConvKind::pointwise, channels, feature_channels_, 1, Activation::relu6),
      random);
  add_module("last", *last_);
  stages_.push_back(last_.get());
  batch_norms_.push_back({&last_->layer.batch_norm});
  recomputed_.push_back(false);
}

Tensor MobileNetV2::forward(const Tensor& x, int begin, int end) {
  Tensor y = x;
  for (int stage = begin; stage < end; ++stage) {
    Module& module = *stages_[static_cast<std::size_t>(stage)];
    y = recomputed_[static_cast<std::size_t>(stage)]
            ? recomputed(y, module.trainable_parameters(),
                         [&module](const Tensor& in) { return module.forward(in); })
            : module.forward(y);
  }
  return y;
}

Value MobileNetV2::lower(PlanBuilder& builder, Value x, int begin, int end) const {
  if (begin == 0 && end >= 2 && !blocks_[0]->has_residual_) {
    x = blocks_[0]->lower_behind(builder, x, stem_->layer);
    begin = 2;
  }
  for (int stage = begin; stage < end; ++stage)
    x = stages_[static_cast<std::size_t>(stage)]->lower(builder, x);
  return x;
}

Value MobileNetV2::lower_pooled(PlanBuilder& builder, Value x) const {
  const ConvBatchNorm& last = last_->layer;
  return builder.pointwise_average_pool(lower(builder, x, 0, kStages - 1), last.folded(),
                                        last.batch_norm.activation());
}

std::int64_t MobileNetV2::fit_memory(std::int64_t batch, int first_trained, std::int64_t budget) {
  const std::vector<StageMemory> stages = stage_memory(options_);
  const auto first = static_cast<std::size_t>(first_trained);
  constexpr std::int64_t kParameterCopies = 4;  // with gradient and Adam's two moments
  constexpr double kRounding = 1.02;            // of blocks to whole pages
  const std::int64_t input = std::int64_t{3} * options_.input_size * options_.input_size;
  const auto bytes = [&](const Peak& peak) {
    const std::int64_t count = (peak.count + input) * batch + kParameterCopies * parameter_count();
    return static_cast<std::int64_t>(kRounding * sizeof(float) * static_cast<double>(count));
  };
  recomputed_.assign(stages.size(), false);
  for (;;) {
    const Peak peak = peak_of(stages, recomputed_, first);
    if (bytes(peak) <= budget) return bytes(peak);
    // What is kept before the stage of the peak can be less.
    std::size_t best = peak.stage;
    std::int64_t saved = 0;
    for (std::size_t i = first; i < peak.stage; ++i)
      if (!recomputed_[i] && stages[i].kept - stages[i].result > saved) {
        best = i;
        saved = stages[i].kept - stages[i].result;
      }
    if (saved == 0) return bytes(peak);
    recomputed_[best] = true;
  }
}

int MobileNetV2::recomputed_stages() const {
  return static_cast<int>(std::count(recomputed_.begin(), recomputed_.end(), true));
}

void MobileNetV2::freeze_before(int first_trained, bool keep_statistics) {
  for (int stage = 0; stage < stages(); ++stage) {
    stages_[static_cast<std::size_t>(stage)]->freeze(stage < first_trained);
    for (BatchNorm* batch_norm : batch_norms_[static_cast<std::size_t>(stage)])
      batch_norm->keep_statistics(keep_statistics);
  }
}

}  // namespace maskwatch::nn
