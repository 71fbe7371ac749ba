#include "nn/classifier.h"

#include <fmt/format.h>

#include <stdexcept>

#include "nn/model_metadata.h"

namespace maskwatch::nn {
namespace {

constexpr const char* kArchitecture = "mobilenet_v2";

constexpr NamedValue<HeadKind> kHeads[] = {
    {HeadKind::none, "none"}, {HeadKind::mask, "mask"}, {HeadKind::classifier, "classifier"}};

// Outputs of a dense layer, by the shape of its weight.
std::int64_t columns_of(const std::string& name, const Safetensors& contents,
                        const Metadata& metadata) {
  const auto found = contents.tensors.find(name);
  if (found == contents.tensors.end()) metadata.fail("tensor " + name + " is missing");
  if (found->second.shape().size() != 2 || found->second.dim(1) < 1)
    metadata.fail("tensor " + name + " has shape " + to_string(found->second.shape()));
  return found->second.dim(1);
}

std::vector<std::string> unnamed_labels(std::int64_t classes, const Metadata& metadata) {
  if (classes < 2 || classes > kMaxClasses)
    metadata.fail(
        fmt::format("its last layer has {} outputs (2 to {} classes)", classes, kMaxClasses));
  std::vector<std::string> labels;
  for (std::int64_t i = 0; i < classes; ++i) labels.push_back(fmt::format("class {}", i));
  return labels;
}

// The widest tensors must be in the file as the metadata promise, before a network of that width
// takes memory.
void check_channels(const Safetensors& contents, const ClassifierOptions& options,
                    const std::string& path) {
  const MobileNetV2Channels channels = mobilenet_v2_channels(options.backbone.width);
  const auto classes = static_cast<std::int64_t>(options.labels.size());
  std::map<std::string, Shape> expected{
      {"stem.conv.weight", {3, 3, 3, channels.stem}},
      {"last.conv.weight", {channels.before_last, channels.features}}};
  if (options.head == HeadKind::mask) {
    expected["head.hidden.weight"] = {channels.features, options.hidden_units};
    expected["head.output.weight"] = {options.hidden_units, classes};
  }
  if (options.head == HeadKind::classifier)
    expected["classifier.weight"] = {channels.features, classes};
  for (const auto& [name, shape] : expected) {
    const auto found = contents.tensors.find(name);
    if (found == contents.tensors.end())
      throw std::runtime_error(path + ": tensor " + name + " is missing");
    if (found->second.shape() != shape)
      throw std::runtime_error(fmt::format(
          "{}: tensor {} has shape {}; width {} and {} labels need {}", path, name,
          to_string(found->second.shape()), options.backbone.width, classes, to_string(shape)));
  }
}

}  // namespace

Head::Head(std::int64_t features, std::int64_t hidden_units, std::int64_t classes, Random& random)
    : hidden_(features, hidden_units, random), output_(hidden_units, classes, random) {
  add_module("hidden", hidden_);
  add_module("output", output_);
}

Tensor Head::forward(const Tensor& x) {
  const Tensor hidden = relu(hidden_.forward(x));
  return output_.forward(training() ? dropout(hidden, kDropoutRate, dropout_seed_) : hidden);
}

Value Head::lower(PlanBuilder& builder, Value x) const {
  return output_.lower(builder, hidden_.lower(builder, x, Activation::relu));
}

Classifier::Classifier(const ClassifierOptions& options, std::uint64_t seed)
    : random_(Random::of_seed(seed)), options_(options), backbone_(options.backbone, random_) {
  const auto classes = static_cast<std::int64_t>(options.labels.size());
  if (options.head != HeadKind::none && classes < 2)
    throw std::invalid_argument(
        fmt::format("Classifier: {} labels; two or more are needed", classes));
  add_module("", backbone_);
  if (options.head == HeadKind::mask) {
    mask_head_ = std::make_unique<Head>(backbone_.feature_channels(), options.hidden_units, classes,
                                        random_);
    add_module("head", *mask_head_);
  } else if (options.head == HeadKind::classifier) {
    classifier_head_ = std::make_unique<Dense>(backbone_.feature_channels(), classes, random_);
    add_module("classifier", *classifier_head_);
  }
}

Tensor Classifier::forward_head(const Tensor& features) {
  const Tensor pooled = global_average_pool(features);
  if (mask_head_) return mask_head_->forward(pooled);
  return classifier_head_ ? classifier_head_->forward(pooled) : pooled;
}

Tensor Classifier::forward(const Tensor& x) { return forward_head(backbone_.forward(x)); }

Value Classifier::lower(PlanBuilder& builder, Value x) const {
  const Value pooled = backbone_.lower_pooled(builder, x);
  if (mask_head_) return mask_head_->lower(builder, pooled);
  return classifier_head_ ? classifier_head_->lower(builder, pooled) : pooled;
}

Plan Classifier::compile(std::int64_t capacity) const {
  return Plan(input_shape(), capacity, [this](PlanBuilder& builder) {
    const Value y = lower(builder, builder.input());
    builder.output(options_.head == HeadKind::none ? y : builder.softmax(y));
  });
}

Safetensors to_safetensors(const Classifier& model,
                           const std::map<std::string, std::string>& extra) {
  const ClassifierOptions& options = model.options();
  Safetensors contents{extra, model.state_dict()};
  contents.metadata["format"] = "maskwatch";
  contents.metadata["architecture"] = kArchitecture;
  describe_backbone(options.backbone, contents.metadata);
  contents.metadata["head"] = name_of(kHeads, options.head);
  if (options.head != HeadKind::none) contents.metadata["labels"] = text_of_labels(options.labels);
  return contents;
}

void save_classifier(const std::string& path, const Classifier& model,
                     const std::map<std::string, std::string>& extra, Precision precision) {
  save_safetensors(path, to_safetensors(model, extra), precision);
}

ClassifierOptions classifier_options(const Safetensors& contents, const std::string& path) {
  const Metadata metadata(contents.metadata, path);
  if (metadata.text("architecture") != kArchitecture)
    metadata.fail("holds the architecture \"" + metadata.text("architecture") + "\", not " +
                  kArchitecture);
  ClassifierOptions options;
  options.backbone = backbone_options(metadata);
  options.head = metadata.choice("head", kHeads);
  if (options.head == HeadKind::mask)
    options.hidden_units = columns_of("head.hidden.weight", contents, metadata);
  if (options.head != HeadKind::none) {
    const bool is_mask = options.head == HeadKind::mask;
    options.labels =
        contents.metadata.contains("labels")
            ? metadata.labels()
            : unnamed_labels(columns_of(is_mask ? "head.output.weight" : "classifier.weight",
                                        contents, metadata),
                             metadata);
  }
  return options;
}

std::unique_ptr<Classifier> load_classifier(const std::string& path) {
  const Safetensors contents = load_safetensors(path);
  const ClassifierOptions options = classifier_options(contents, path);
  check_channels(contents, options, path);
  check_numbers(contents, path);
  auto model = std::make_unique<Classifier>(options);
  try {
    model->load_state_dict(contents.tensors);
  } catch (const std::invalid_argument& fault) {
    throw std::runtime_error(path + ": " + fault.what());
  }
  model->eval();
  return model;
}

}  // namespace maskwatch::nn
