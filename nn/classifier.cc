#include "nn/classifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace maskwatch::nn {
namespace {

constexpr const char* kArchitecture = "mobilenet_v2";
constexpr std::int64_t kMaxClasses = 100000;

template <typename Enum>
struct Name {
  Enum value;
  const char* text;
};

constexpr Name<Padding> kPaddings[] = {{Padding::tf, "tf"}, {Padding::symmetric, "symmetric"}};
constexpr Name<Preprocessing> kPreprocessings[] = {{Preprocessing::tf, "tf"},
                                                   {Preprocessing::imagenet, "imagenet"}};
constexpr Name<bool> kBooleans[] = {{true, "true"}, {false, "false"}};
constexpr Name<HeadKind> kHeads[] = {
    {HeadKind::none, "none"}, {HeadKind::mask, "mask"}, {HeadKind::classifier, "classifier"}};

template <typename Enum, std::size_t N>
const char* name_of(const Name<Enum> (&names)[N], Enum value) {
  for (const auto& name : names)
    if (name.value == value) return name.text;
  return "";
}

// The metadata of one file, each key asked for by name.
class Metadata {
 public:
  Metadata(const std::map<std::string, std::string>& values, const std::string& name)
      : values_(values), name_(name) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(name_ + ": " + what);
  }

  const std::string& text(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) fail("not a Maskwatch model: metadata " + key + " is missing");
    return found->second;
  }

  double number(const std::string& key) const {
    const std::string& value = text(key);
    double number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size())
      fail("metadata " + key + " is \"" + value + "\", not a number");
    return number;
  }

  template <typename Enum, std::size_t N>
  Enum choice(const std::string& key, const Name<Enum> (&names)[N]) const {
    for (const auto& name : names)
      if (text(key) == name.text) return name.value;
    fail("metadata " + key + " is \"" + text(key) + "\", which is unknown");
  }

  double number_or(const std::string& key, double otherwise) const {
    return values_.contains(key) ? number(key) : otherwise;
  }
  template <typename Enum, std::size_t N>
  Enum choice_or(const std::string& key, const Name<Enum> (&names)[N], Enum otherwise) const {
    return values_.contains(key) ? choice(key, names) : otherwise;
  }

  std::vector<std::string> labels() const {
    const nlohmann::json list = nlohmann::json::parse(text("labels"), nullptr, false);
    if (!list.is_array() || list.size() < 2 || list.size() > kMaxClasses)
      fail("metadata labels is not a list of two or more");
    std::vector<std::string> labels;
    for (const auto& label : list) {
      if (!label.is_string()) fail("metadata labels holds something that is not a string");
      labels.push_back(label.get<std::string>());
    }
    return labels;
  }

 private:
  const std::map<std::string, std::string>& values_;
  const std::string& name_;
};

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
                    const std::string& file) {
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
      throw std::runtime_error(file + ": tensor " + name + " is missing");
    if (found->second.shape() != shape)
      throw std::runtime_error(fmt::format(
          "{}: tensor {} has shape {}; width {} and {} labels need {}", file, name,
          to_string(found->second.shape()), options.backbone.width, classes, to_string(shape)));
  }
}

// A damaged model must not answer "nan%".
void check_values(const Safetensors& contents, const std::string& file) {
  for (const auto& [name, tensor] : contents.tensors) {
    const float* values = tensor.data();
    if (!std::all_of(values, values + tensor.count(), [](float x) { return std::isfinite(x); }))
      throw std::runtime_error(file + ": tensor " + name + " holds a value that is not finite");
    if (name.ends_with("variance") &&
        std::any_of(values, values + tensor.count(), [](float x) { return x < 0; }))
      throw std::runtime_error(file + ": tensor " + name + " holds a negative variance");
  }
}

}  // namespace

Safetensors to_safetensors(const Classifier& model,
                           const std::map<std::string, std::string>& extra) {
  const ClassifierOptions& options = model.options();
  const MobileNetV2Options& backbone = options.backbone;
  Safetensors contents{extra, model.state_dict()};
  contents.metadata["format"] = "maskwatch";
  contents.metadata["architecture"] = kArchitecture;
  contents.metadata["width"] = fmt::format("{}", backbone.width);
  contents.metadata["input_size"] = fmt::format("{}", backbone.input_size);
  contents.metadata["padding"] = name_of(kPaddings, backbone.padding);
  contents.metadata["bn_epsilon"] = fmt::format("{}", backbone.batch_norm.epsilon);
  contents.metadata["bn_momentum"] = fmt::format("{}", backbone.batch_norm.momentum);
  contents.metadata["bn_unbiased"] = name_of(kBooleans, backbone.batch_norm.unbiased);
  contents.metadata["preprocessing"] = name_of(kPreprocessings, backbone.preprocessing);
  contents.metadata["head"] = name_of(kHeads, options.head);
  if (options.head != HeadKind::none)
    contents.metadata["labels"] =
        nlohmann::json(options.labels)
            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return contents;
}

void save_classifier(const std::string& path, const Classifier& model,
                     const std::map<std::string, std::string>& extra, Precision precision) {
  save_safetensors(path, to_safetensors(model, extra), precision);
}

ClassifierOptions classifier_options(const Safetensors& contents, const std::string& name) {
  const Metadata metadata(contents.metadata, name);
  if (metadata.text("architecture") != kArchitecture)
    metadata.fail("holds the architecture \"" + metadata.text("architecture") + "\", not " +
                  kArchitecture);
  ClassifierOptions options;
  MobileNetV2Options& backbone = options.backbone;
  backbone.width = metadata.number("width");
  const double size = metadata.number("input_size");
  if (!(backbone.width > 0 && backbone.width <= 8)) metadata.fail("metadata width is out of range");
  if (!(size >= 32 && size <= 4096) || size != static_cast<int>(size))
    metadata.fail("metadata input_size is out of range");
  backbone.input_size = static_cast<int>(size);
  backbone.padding = metadata.choice("padding", kPaddings);
  backbone.batch_norm.epsilon = metadata.number("bn_epsilon");
  if (!(backbone.batch_norm.epsilon > 0 && backbone.batch_norm.epsilon < 1))
    metadata.fail("metadata bn_epsilon is out of range");
  // Files without these two were trained elsewhere: by PyTorch, or by Keras.
  const bool symmetric = backbone.padding == Padding::symmetric;
  BatchNormOptions& batch_norm = backbone.batch_norm;
  batch_norm.momentum = metadata.number_or("bn_momentum", symmetric ? 0.9 : 0.999);
  if (!(batch_norm.momentum >= 0 && batch_norm.momentum <= 1))
    metadata.fail("metadata bn_momentum is out of range");
  batch_norm.unbiased = metadata.choice_or("bn_unbiased", kBooleans, symmetric);
  backbone.preprocessing = metadata.choice("preprocessing", kPreprocessings);
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

namespace {

std::unique_ptr<Classifier> classifier_from(const Safetensors& contents, const std::string& name) {
  const ClassifierOptions options = classifier_options(contents, name);
  check_channels(contents, options, name);
  check_values(contents, name);
  auto model = std::make_unique<Classifier>(options);
  try {
    model->load_state_dict(contents.tensors);
  } catch (const std::invalid_argument& fault) {
    throw std::runtime_error(name + ": " + fault.what());
  }
  model->eval();
  return model;
}

}  // namespace

std::unique_ptr<Classifier> load_classifier(const std::string& path) {
  return classifier_from(load_safetensors(path), path);
}

std::unique_ptr<Classifier> load_classifier(std::span<const std::byte> bytes,
                                            const std::string& name) {
  return classifier_from(load_safetensors(bytes, name), name);
}

}  // namespace maskwatch::nn
