#include "vision/masks/mask_classifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/parallel.h"
#include "vision/image/network_input.h"

namespace maskwatch::vision {
namespace {

constexpr Color kOtherOrange{245, 150, 30};

std::string plain_name(const std::string& label) {
  std::string name = label;
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == ' ' || c == '-') c = '_';
  }
  return name;
}

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::unique_ptr<nn::Classifier> load_labelled(const std::string& file) {
  auto model = nn::load_classifier(file);
  if (model->options().labels.empty())
    throw std::runtime_error(file + ": the model names no classes, so it cannot classify faces");
  return model;
}

}  // namespace

MaskState mask_state(const std::string& label) {
  const std::string name = plain_name(label);
  if (is_one_of(name, {"with_mask", "mask", "masked"})) return MaskState::mask;
  if (is_one_of(name, {"without_mask", "no_mask", "unmasked"})) return MaskState::no_mask;
  return MaskState::other;
}

std::string display_name(const std::string& label) {
  switch (mask_state(label)) {
    case MaskState::mask:
      return "Mask";
    case MaskState::no_mask:
      return "No Mask";
    case MaskState::other:
      break;
  }
  std::string name = label;
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

Color display_color(const std::string& label) {
  switch (mask_state(label)) {
    case MaskState::mask:
      return mask_green;
    case MaskState::no_mask:
      return no_mask_red;
    case MaskState::other:
      break;
  }
  return kOtherOrange;
}

MaskClassifier::MaskClassifier(const std::string& model_file, std::int64_t capacity)
    : model_(load_labelled(model_file)),
      plan_(model_->compile(capacity)),
      inputs_(static_cast<std::size_t>(capacity * plan_.input_shape().count())) {}

Image MaskClassifier::crop(const Image& image, const Box& box, float margin) const {
  return crop_and_resize(image, grow_box(box, margin), input_size(), input_size());
}

void MaskClassifier::classify_batch(std::span<const Image> crops,
                                    std::vector<Classification>& results) {
  const auto batch = static_cast<std::int64_t>(crops.size());
  const std::int64_t pixels = plan_.input_shape().count();
  const auto preprocessing = model_->options().backbone.preprocessing;
  parallel_for(batch, [&](std::int64_t i) {
    to_network_input(crops[static_cast<std::size_t>(i)], inputs_.data() + i * pixels,
                     preprocessing);
  });
  plan_.run(inputs_.data(), batch);
  const auto classes = static_cast<std::int64_t>(labels().size());
  for (std::int64_t i = 0; i < batch; ++i) {
    const float* row = plan_.output() + i * classes;
    const auto label = static_cast<int>(std::max_element(row, row + classes) - row);
    results.push_back({label, std::vector<float>(row, row + classes)});
  }
}

std::vector<Classification> MaskClassifier::classify(std::span<const Image> crops) {
  for (const Image& crop : crops)
    if (crop.width != input_size() || crop.height != input_size() || crop.channels != 3)
      throw std::invalid_argument(
          fmt::format("MaskClassifier::classify: a crop of {}x{}x{} for a network of {}x{}x3",
                      crop.width, crop.height, crop.channels, input_size(), input_size()));
  std::vector<Classification> results;
  const auto capacity = static_cast<std::size_t>(plan_.capacity());
  for (std::size_t done = 0; done < crops.size(); done += capacity)
    classify_batch(crops.subspan(done, std::min(capacity, crops.size() - done)), results);
  return results;
}

std::vector<Classification> MaskClassifier::classify(const Image& image,
                                                     std::span<const Detection> faces,
                                                     float margin) {
  std::vector<Image> crops(faces.size());
  for (std::size_t i = 0; i < faces.size(); ++i) crops[i] = crop(image, faces[i].box, margin);
  return classify(crops);
}

std::string result_text(const MaskClassifier& classifier, const Classification& result) {
  const std::string& label = classifier.labels()[static_cast<std::size_t>(result.label)];
  return fmt::format("{}: {:.2f}%", display_name(label), 100 * result.probability());
}

}  // namespace maskwatch::vision
