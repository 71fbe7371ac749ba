#include "nn/model_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "base/json_fields.h"

namespace maskwatch::nn {

std::vector<std::string> Metadata::texts(const std::string& key) const {
  const std::string& written = text(key);
  std::vector<JsonFields> list;
  try {
    const JsonFields value = JsonFields::parse(written, path_);
    if (value.size() <= kMaxClasses) list = value.list();
  } catch (const std::runtime_error&) {
  }
  if (list.size() < 2) fail("metadata " + key + " is not a list of two or more");
  std::vector<std::string> texts;
  for (const JsonFields& one : list) {
    if (!one.is_text()) fail("metadata " + key + " holds something that is not a string");
    texts.push_back(one.text());
  }
  return texts;
}

std::vector<std::string> Metadata::labels() const { return texts("labels"); }

std::vector<std::string> Metadata::texts_of_labels(const std::string& key,
                                                   std::size_t labels) const {
  if (!values_.contains(key)) return {};
  std::vector<std::string> all = texts(key);
  if (all.size() != labels)
    fail(fmt::format("metadata {} holds {} texts for {} labels", key, all.size(), labels));
  return all;
}

std::string text_of_labels(const std::vector<std::string>& labels) { return Json(labels).dump(); }

std::string text_of_anchors(const AnchorOptions& anchors) {
  Json levels = Json::list();
  for (const AnchorLevel& level : anchors.levels)
    levels.push_back(Json::object({{"stride", level.stride}, {"sizes", level.sizes}}));
  return Json::object({{"aspect", anchors.aspect}, {"levels", levels}}).dump();
}

void describe_backbone(const MobileNetV2Options& options,
                       std::map<std::string, std::string>& metadata) {
  metadata["width"] = fmt::format("{}", options.width);
  metadata["input_size"] = fmt::format("{}", options.input_size);
  metadata["padding"] = name_of(kPaddings, options.padding);
  metadata["bn_epsilon"] = fmt::format("{}", options.batch_norm.epsilon);
  metadata["bn_momentum"] = fmt::format("{}", options.batch_norm.momentum);
  metadata["bn_unbiased"] = name_of(kBooleans, options.batch_norm.unbiased);
  metadata["preprocessing"] = name_of(kPreprocessings, options.preprocessing);
}

MobileNetV2Options backbone_options(const Metadata& metadata) {
  MobileNetV2Options backbone;
  backbone.width = metadata.number("width");
  const double size = metadata.number("input_size");
  if (!(backbone.width > 0 && backbone.width <= 8)) metadata.fail("metadata width is out of range");
  if (!(size >= 32 && size <= kMaxInputSize) || size != static_cast<int>(size))
    metadata.fail(fmt::format("metadata input_size is {}, not a whole number from 32 to {}",
                              metadata.text("input_size"), kMaxInputSize));
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
  return backbone;
}

void check_values(const Safetensors& contents, const std::string& path) {
  for (const auto& [name, tensor] : contents.tensors) {
    const float* numbers = tensor.data();
    if (!std::all_of(numbers, numbers + tensor.count(), [](float x) { return std::isfinite(x); }))
      throw std::runtime_error(path + ": tensor " + name + " holds a number that is not finite");
    if (name.ends_with("variance") &&
        std::any_of(numbers, numbers + tensor.count(), [](float x) { return x < 0; }))
      throw std::runtime_error(path + ": tensor " + name + " holds a negative variance");
  }
}

}  // namespace maskwatch::nn
