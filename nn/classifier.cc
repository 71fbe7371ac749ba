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

Safetensors to_safetensors(const Classifier& model,
                           const std::map<std::string, std::string>& extra) {
  const ClassifierOptions& options = model.options();
  Safetensors contents{extra, model.state_dict()};
  contents.metadata["format"] = "maskwatch";
  contents.metadata["architecture"] = kArchitecture;
  describe_backbone(options.backbone, contents.metadata);
  contents.metadata["head"] = name_of(kHeads, options.head);
  if (options.head != HeadKind::none) contents.metadata["labels"] = text_of_labels(options.labels);
  if (!options.meanings.empty()) contents.metadata["meanings"] = text_of_labels(options.meanings);
  if (!options.quantization.empty())
    contents.metadata[kQuantizationKey] = text_of_quantization(options.quantization);
  return contents;
}

void save_quantized(const std::string& path, const Classifier& model,
                    const std::map<std::string, std::string>& extra, const Quantization& ranges,
                    Precision precision) {
  Safetensors contents = to_safetensors(model, extra);
  contents.metadata[kQuantizationKey] = text_of_quantization(ranges);
  save_safetensors(path, contents, precision);
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
    options.meanings = metadata.texts_of_labels("meanings", options.labels.size());
  }
  options.quantization = quantization_in(contents.metadata, name);
  return options;
}

namespace {

std::unique_ptr<Classifier> classifier_from(const Safetensors& contents, const std::string& name) {
  const ClassifierOptions options = classifier_options(contents, name);
  check_channels(contents, options, name);
  check_values(contents, name);
  const UndrawnParameters undrawn;
  auto model = std::make_unique<Classifier>(options);
  try {
    model->load_state_dict(contents.tensors);
    if (!options.quantization.empty()) quantized(fuse(model->graph()), options.quantization);
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
