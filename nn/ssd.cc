#include "nn/ssd.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/json_fields.h"
#include "nn/fuse.h"
#include "nn/model_metadata.h"
#include "nn/ops/concat.h"
#include "nn/ops/elementwise.h"
#include "nn/ops/resize.h"

namespace maskwatch::nn {
namespace {

constexpr const char* kArchitecture = "ssd_mobilenet_v2";
// The backbone's stages 0..16 and the last block; the expansions of two blocks are read on the way.
constexpr int kStages = 18;
constexpr int kC3Block = 6, kC4Block = 13;
constexpr std::array kStrides = {8, 16, 32, 64};
constexpr std::size_t kLevels = kStrides.size();
constexpr int kLeastSide = kStrides.back();
constexpr std::int64_t kMaxChannels = 1024;
constexpr std::size_t kMaxSizes = 32;
// Few anchors are faces: so training does not begin by unlearning all of them (Lin et al., "Focal
// loss", 2017, 3.3).
constexpr float kInitialFaceLogit = -4;
constexpr double kInitialOutputDeviation = 0.01;

// What the pyramid stands on, and how far the backbone has run: T is a Tensor or a graph's Value.
template <typename T>
struct Features {
  T x, c3, c4;
};

// Stages begin .. end-1, by `steps`: stages(x, begin, end), expansion(block, x) and
// behind_expansion(block, expanded).
template <typename T, typename Steps>
void run_stages(Features<T>& features, int begin, int end, const Steps& steps) {
  const auto tap = [&](int block, T& expanded) {
    const int stage = block + 1;
    if (stage < begin || stage >= end) return;
    expanded = steps.expansion(block, steps.stages(features.x, begin, stage));
    features.x = steps.behind_expansion(block, expanded);
    begin = stage + 1;
  };
  tap(kC3Block, features.c3);
  tap(kC4Block, features.c4);
  features.x = steps.stages(features.x, begin, end);
}

struct ForwardSteps {
  MobileNetV2& backbone;
  Tensor stages(const Tensor& x, int begin, int end) const {
    return backbone.forward(x, begin, end);
  }
  Tensor expansion(int block, const Tensor& x) const {
    return backbone.block(block).forward_expansion(x);
  }
  Tensor behind_expansion(int block, const Tensor& expanded) const {
    return backbone.block(block).forward_behind_expansion(expanded);
  }
};

struct TraceSteps {
  const MobileNetV2& backbone;
  Graph& graph;
  Value stages(Value x, int begin, int end) const { return backbone.trace(graph, x, begin, end); }
  Value expansion(int block, Value x) const {
    return backbone.block(block).trace_expansion(graph, x);
  }
  Value behind_expansion(int block, Value expanded) const {
    return backbone.block(block).trace_behind_expansion(graph, expanded);
  }
};

MobileNetV2Options without_last(MobileNetV2Options options) {
  options.has_last = false;
  return options;
}

ConvBatchNorm::Options layer(const SsdNetworkOptions& options, ConvKind kind, std::int64_t in,
                             int stride, Activation activation) {
  const std::int64_t out = kind == ConvKind::depthwise3x3 ? in : options.channels;
  return {kind, in, out, stride, options.backbone.padding, activation, options.backbone.batch_norm};
}

// Brings a level of the backbone to the pyramid's channels.
class Lateral : public TraceableModule {
 public:
  Lateral(std::int64_t in, const SsdNetworkOptions& options, Random& random)
      : layer_(layer(options, ConvKind::pointwise, in, 1, Activation::none), random) {
    add_module("conv", layer_.convolution);
    add_module("bn", layer_.batch_norm);
  }
  Tensor forward(const Tensor& x) override { return layer_.forward(x); }
  Value trace(Graph& graph, Value x) const override { return layer_.trace(graph, x); }

  // With the level above it, twice as large, added.
  Tensor forward(const Tensor& x, const Tensor& above) {
    const Tensor y = layer_.forward(x);
    return add(y, upsample2x(above, y.dim(1), y.dim(2)));
  }
  Value trace(Graph& graph, Value x, Value above) const {
    const ActivationShape& shape = graph.shape(x);
    const Value larger = graph.add(op::Upsample2x{shape.height, shape.width}, {above});
    return graph.add(op::Add{}, {layer_.trace(graph, x), larger});
  }

 private:
  ConvBatchNorm layer_;
};

// Depthwise 3×3, then pointwise; batch norm and ReLU6 behind each.
class Separable : public TraceableModule {
 public:
  Separable(int stride, const SsdNetworkOptions& options, Random& random)
      : depthwise_(
            layer(options, ConvKind::depthwise3x3, options.channels, stride, Activation::relu6),
            random),
        pointwise_(layer(options, ConvKind::pointwise, options.channels, 1, Activation::relu6),
                   random) {
    add_module("depthwise", depthwise_.convolution);
    add_module("depthwise_bn", depthwise_.batch_norm);
    add_module("pointwise", pointwise_.convolution);
    add_module("pointwise_bn", pointwise_.batch_norm);
  }
  Tensor forward(const Tensor& x) override {
    return conv_batch_norms(x, {depthwise_.layer(), pointwise_.layer()});
  }
  Value trace(Graph& graph, Value x) const override {
    return pointwise_.trace(graph, depthwise_.trace(graph, x));
  }

 private:
  ConvBatchNorm depthwise_, pointwise_;
};

// From a level of the pyramid [n, h, w, channels] to a row for each of its anchors,
// [n, h · w · sizes, numbers].
class SsdHead : public TraceableModule {
 public:
  SsdHead(std::size_t sizes, std::int64_t numbers, const SsdNetworkOptions& options, Random& random)
      : sizes_(static_cast<std::int64_t>(sizes)),
        numbers_(numbers),
        features_(1, options, random),
        output_(options.channels, sizes_ * numbers, random) {
    add_module("features", features_);
    add_module("output", output_);
    const StateDict state = output_.state_dict();
    const Tensor &weight = state.at("weight"), &bias = state.at("bias");
    for (std::int64_t i = 0; i < weight.count(); ++i)
      weight.data()[i] = static_cast<float>(kInitialOutputDeviation * random.gaussian());
    for (std::int64_t size = 0; size < sizes_; ++size)
      bias.data()[size * numbers + 4] = kInitialFaceLogit;
  }
  Tensor forward(const Tensor& x) override {
    const Tensor y = output_.forward(features_.forward(x));
    return y.reshaped({x.dim(0), x.dim(1) * x.dim(2) * sizes_, numbers_});
  }
  Value trace(Graph& graph, Value x) const override {
    const ActivationShape in = graph.shape(x);
    const Value y = output_.trace(graph, features_.trace(graph, x));
    return graph.add(op::Reshape{{in.height * in.width * sizes_, 1, numbers_}}, {y});
  }

 private:
  std::int64_t sizes_, numbers_;
  Separable features_;
  Dense output_;
};

void check(const SsdNetworkOptions& options) {
  const auto fail = [](const std::string& what) {
    throw std::invalid_argument("SsdNetwork: " + what);
  };
  if (options.channels < 1 || options.channels > kMaxChannels)
    fail(fmt::format("{} channels are not in 1..{}", options.channels, kMaxChannels));
  if (options.labels.size() < 2) fail("fewer than two labels");
  const std::vector<AnchorLevel>& levels = options.anchors.levels;
  if (!std::equal(levels.begin(), levels.end(), kStrides.begin(), kStrides.end(),
                  [](const AnchorLevel& level, int stride) { return level.stride == stride; }))
    fail("the strides of its anchors are not 8, 16, 32 and 64");
  for (const AnchorLevel& level : levels)
    if (level.sizes.empty() || level.sizes.size() > kMaxSizes)
      fail(fmt::format("{} sizes of anchors are not in 1..{}", level.sizes.size(), kMaxSizes));
  make_anchors(1, 1, options.anchors);
}

}  // namespace

struct SsdNetwork::Parts {
  explicit Parts(const SsdNetworkOptions& options)
      : random(Random::of_seed(options.seed)),
        backbone(without_last(options.backbone), random),
        lateral3(backbone.block(kC3Block).expanded_channels(), options, random),
        lateral4(backbone.block(kC4Block).expanded_channels(), options, random),
        lateral5(backbone.feature_channels(), options, random),
        smooth3(1, options, random),
        smooth4(1, options, random),
        smooth5(1, options, random),
        down6(2, options, random) {
    const auto numbers = static_cast<std::int64_t>(5 + options.labels.size());
    for (const AnchorLevel& level : options.anchors.levels)
      heads.push_back(std::make_unique<SsdHead>(level.sizes.size(), numbers, options, random));
  }

  Random random;
  MobileNetV2 backbone;
  Lateral lateral3, lateral4, lateral5;
  Separable smooth3, smooth4, smooth5, down6;
  std::vector<std::unique_ptr<SsdHead>> heads;
};

SsdNetwork::SsdNetwork(const SsdNetworkOptions& options) : options_(options) {
  check(options);
  parts_ = std::make_unique<Parts>(options);
  add_module("backbone", parts_->backbone);
  add_module("lateral3", parts_->lateral3);
  add_module("lateral4", parts_->lateral4);
  add_module("lateral5", parts_->lateral5);
  add_module("smooth3", parts_->smooth3);
  add_module("smooth4", parts_->smooth4);
  add_module("smooth5", parts_->smooth5);
  add_module("down6", parts_->down6);
  for (std::size_t i = 0; i < kLevels; ++i)
    add_module(fmt::format("head{}", i + 3), *parts_->heads[i]);
}

SsdNetwork::~SsdNetwork() = default;

MobileNetV2& SsdNetwork::backbone() { return parts_->backbone; }

void SsdNetwork::freeze_before(int first_trained, bool keep_statistics) {
  if (first_trained < 0 || first_trained > kStages)
    throw std::invalid_argument(
        fmt::format("SsdNetwork::freeze_before: stage {} is not in 0..{}", first_trained, kStages));
  parts_->backbone.freeze_before(first_trained, keep_statistics);
  first_trained_ = first_trained;
  frozen_.reset();
}

void SsdNetwork::plan_frozen(const ActivationShape& picture, std::int64_t capacity,
                             kernels::Device& device) {
  Graph graph(picture);
  Features<Value> features{graph.input(), {}, {}};
  run_stages(features, 0, first_trained_, TraceSteps{parts_->backbone, graph});
  for (const Value value : {features.x, features.c3, features.c4})
    if (value.index >= 0) graph.output(value);
  frozen_.emplace(fuse(graph), capacity, device);
  frozen_loads_ = loads();
}

std::vector<Tensor> SsdNetwork::run_frozen(const Tensor& x) {
  const ActivationShape picture{x.dim(1), x.dim(2), x.dim(3)};
  if (!frozen_ || frozen_loads_ != loads() || frozen_->input_shape() != picture ||
      frozen_->capacity() < x.dim(0) || &frozen_->device() != &x.device())
    plan_frozen(picture, x.dim(0), x.device());
  std::vector<Tensor> results = frozen_->run_all(x);
  results.resize(3);
  return results;
}

Tensor SsdNetwork::forward(const Tensor& x) {
  if (x.shape().size() != 4 || x.dim(3) != 3 || x.count() == 0)
    throw std::invalid_argument("SsdNetwork: takes [n, height, width, 3], not " +
                                to_string(x.shape()));
  Features<Tensor> features{x, {}, {}};
  if (first_trained_ > 0) {
    const std::vector<Tensor> ready = run_frozen(x);
    features = {ready[0], ready[1], ready[2]};
  }
  Parts& parts = *parts_;
  run_stages(features, first_trained_, kStages, ForwardSteps{parts.backbone});
  const Tensor p5 = parts.smooth5.forward(parts.lateral5.forward(features.x));
  const Tensor p4 = parts.smooth4.forward(parts.lateral4.forward(features.c4, p5));
  const Tensor p3 = parts.smooth3.forward(parts.lateral3.forward(features.c3, p4));
  const Tensor p6 = parts.down6.forward(p5);
  return concat({parts.heads[0]->forward(p3), parts.heads[1]->forward(p4),
                 parts.heads[2]->forward(p5), parts.heads[3]->forward(p6)},
                1);
}

Value SsdNetwork::trace(Graph& graph, Value x) const {
  const Parts& parts = *parts_;
  Features<Value> features{x, {}, {}};
  run_stages(features, 0, kStages, TraceSteps{parts.backbone, graph});
  const Value p5 = parts.smooth5.trace(graph, parts.lateral5.trace(graph, features.x));
  const Value p4 = parts.smooth4.trace(graph, parts.lateral4.trace(graph, features.c4, p5));
  const Value p3 = parts.smooth3.trace(graph, parts.lateral3.trace(graph, features.c3, p4));
  const Value p6 = parts.down6.trace(graph, p5);
  return graph.add(op::ConcatRows{},
                   {parts.heads[0]->trace(graph, p3), parts.heads[1]->trace(graph, p4),
                    parts.heads[2]->trace(graph, p5), parts.heads[3]->trace(graph, p6)});
}

Graph SsdNetwork::graph(std::int64_t height, std::int64_t width) const {
  Graph graph({height, width, 3});
  graph.output(trace(graph, graph.input()));
  return graph;
}

Plan SsdNetwork::compile(std::int64_t height, std::int64_t width, kernels::Device& device,
                         std::int64_t capacity) const {
  return Plan(fuse_quantized(graph(height, width), options_.quantization), capacity, device);
}

namespace {

AnchorOptions read_anchors(const Metadata& metadata, const std::string& path) {
  const auto read = JsonFields::parse(metadata.text("anchors"), path + ": metadata \"anchors\"");
  AnchorOptions anchors{{}, read["aspect"].number()};
  for (const JsonFields& level : read["levels"].list()) {
    anchors.levels.push_back(
        {static_cast<int>(level["stride"].whole_number(1, kStrides.back())), {}});
    for (const JsonFields& size : level["sizes"].list())
      anchors.levels.back().sizes.push_back(static_cast<float>(size.number()));
  }
  return anchors;
}

// The largest tensors must be in the file as the metadata promise, before a network of such a width
// and with so many anchors and labels takes memory.
void check_shapes(const Safetensors& contents, const SsdNetworkOptions& options,
                  const Metadata& metadata) {
  const double width = options.backbone.width;
  const MobileNetV2Channels ends = mobilenet_v2_channels(width);
  const MobileNetV2Group& before = std::end(kMobileNetV2Groups)[-2];
  const MobileNetV2Group& last = std::end(kMobileNetV2Groups)[-1];
  std::vector<std::pair<std::string, Shape>> expected{
      {"lateral5.conv.weight", {ends.before_last, options.channels}},
      {"backbone.stem.conv.weight", {3, 3, 3, ends.stem}},
      {"backbone.blocks.16.project.weight",
       {last.expansion * make_divisible(before.channels * width), ends.before_last}}};
  const std::vector<AnchorLevel>& levels = options.anchors.levels;
  for (std::size_t i = 0; levels.size() == kLevels && i < kLevels; ++i) {
    const auto numbers =
        static_cast<std::int64_t>(levels[i].sizes.size() * (5 + options.labels.size()));
    expected.push_back({fmt::format("head{}.output.bias", i + 3), {numbers}});
    expected.push_back({fmt::format("head{}.output.weight", i + 3), {options.channels, numbers}});
  }
  for (const auto& [name, shape] : expected) {
    const auto found = contents.tensors.find(name);
    if (found == contents.tensors.end()) metadata.fail("tensor " + name + " is missing");
    if (found->second.shape() != shape)
      metadata.fail(fmt::format("tensor {} has shape {}, expected {}", name,
                                to_string(found->second.shape()), to_string(shape)));
  }
}

SsdNetworkOptions ssd_options(const Safetensors& contents, const std::string& path) {
  const Metadata metadata(contents.metadata, path);
  if (metadata.text("architecture") != kArchitecture)
    metadata.fail("holds the architecture \"" + metadata.text("architecture") + "\", not " +
                  kArchitecture);
  SsdNetworkOptions options;
  options.backbone = backbone_options(metadata);
  const double channels = metadata.number("channels");
  if (!(channels >= 1 && channels <= kMaxChannels) ||
      channels != static_cast<double>(static_cast<std::int64_t>(channels)))
    metadata.fail("metadata channels is out of range");
  options.channels = static_cast<std::int64_t>(channels);
  options.anchors = read_anchors(metadata, path);
  options.labels = metadata.labels();
  options.quantization = quantization_in(contents.metadata, path);
  check_shapes(contents, options, metadata);
  return options;
}

}  // namespace

void save_ssd(const std::string& path, const SsdNetwork& network,
              const std::map<std::string, std::string>& extra, Precision precision) {
  const SsdNetworkOptions& options = network.options();
  Safetensors contents{extra, network.state_dict()};
  contents.metadata["format"] = "maskwatch";
  contents.metadata["architecture"] = kArchitecture;
  describe_backbone(options.backbone, contents.metadata);
  contents.metadata["channels"] = fmt::format("{}", options.channels);
  contents.metadata["anchors"] = text_of_anchors(options.anchors);
  contents.metadata["labels"] = text_of_labels(options.labels);
  if (!options.quantization.empty())
    contents.metadata[kQuantizationKey] = text_of_quantization(options.quantization);
  save_safetensors(path, contents, precision);
}

bool is_ssd(const Safetensors& contents) {
  const auto found = contents.metadata.find("architecture");
  return found != contents.metadata.end() && found->second == kArchitecture;
}

std::unique_ptr<SsdNetwork> make_ssd(const Safetensors& contents, const std::string& path) {
  const SsdNetworkOptions options = ssd_options(contents, path);
  check_values(contents, path);
  const UndrawnParameters undrawn;
  try {
    auto network = std::make_unique<SsdNetwork>(options);
    network->load_state_dict(contents.tensors);
    // The layers are the same for pictures of any size.
    if (!options.quantization.empty())
      quantized(fuse(network->graph(kLeastSide, kLeastSide)), options.quantization);
    network->eval();
    return network;
  } catch (const std::invalid_argument& fault) {
    throw std::runtime_error(path + ": " + fault.what());
  }
}

std::unique_ptr<SsdNetwork> load_ssd(const std::string& path) {
  return make_ssd(load_safetensors(path), path);
}

}  // namespace maskwatch::nn
