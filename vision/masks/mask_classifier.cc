#include "vision/masks/mask_classifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "base/parallel.h"
#include "base/parallel_try.h"
#include "nn/classifier.h"
#include "vision/image/network_input.h"

namespace maskwatch::vision {
namespace {

std::unique_ptr<nn::Classifier> labelled(std::unique_ptr<nn::Classifier> model,
                                         const std::string& name) {
  if (model->options().labels.empty())
    throw std::runtime_error(name + ": the model names no classes, so it cannot classify faces");
  std::vector<std::string> labels = model->options().labels;
  std::sort(labels.begin(), labels.end());
  if (const auto twice = std::adjacent_find(labels.begin(), labels.end()); twice != labels.end())
    throw std::runtime_error(name + ": two classes of the model are called \"" + *twice +
                             "\", so its answers cannot be told apart");
  return model;
}

std::unique_ptr<nn::Plan> compiled(const nn::Classifier& model, const std::string& name,
                                   std::int64_t capacity, kernels::Device& device) {
  try {
    return std::make_unique<nn::Plan>(model.compile(capacity, device));
  } catch (const std::runtime_error& fault) {
    throw std::runtime_error(name + ": " + fault.what());
  }
}

}  // namespace

MaskClassifier::MaskClassifier(const std::string& model_file, std::int64_t capacity,
                               kernels::Device& device)
    : MaskClassifier(labelled(nn::load_classifier(model_file), model_file), model_file, capacity,
                     device) {}

MaskClassifier::MaskClassifier(std::span<const std::uint8_t> contents, const std::string& name,
                               std::int64_t capacity, kernels::Device& device)
    : MaskClassifier(labelled(nn::load_classifier(std::as_bytes(contents), name), name), name,
                     capacity, device) {}

MaskClassifier::MaskClassifier(std::unique_ptr<nn::Classifier> model, const std::string& name,
                               std::int64_t capacity, kernels::Device& device)
    : model_(std::move(model)),
      meanings_(meanings_of(model_->options().labels)),
      stated_(meanings_.size()),
      plan_(compiled(*model_, name, capacity, device)),
      inputs_(device.staging(static_cast<std::size_t>(capacity * plan_->input_shape().count()) *
                             sizeof(float))) {
  const std::vector<std::string>& words = model_->options().meanings;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].empty()) continue;
    const std::optional<LabelMeaning> meaning = meaning_of_word(words[i]);
    if (!meaning)
      throw std::runtime_error(name + ": metadata meanings holds \"" + words[i] +
                               "\", which is unknown");
    meanings_[i] = *meaning;
    stated_[i] = true;
  }
}

MaskClassifier::~MaskClassifier() = default;
MaskClassifier::MaskClassifier(MaskClassifier&&) noexcept = default;
MaskClassifier& MaskClassifier::operator=(MaskClassifier&&) noexcept = default;

const std::vector<std::string>& MaskClassifier::labels() const { return model_->options().labels; }

void MaskClassifier::set_meanings(const std::map<std::string, LabelMeaning>& meanings) {
  for (std::size_t i = 0; i < labels().size(); ++i)
    if (const auto found = meanings.find(labels()[i]); found != meanings.end()) {
      meanings_[i] = found->second;
      stated_[i] = true;
    }
}

std::vector<std::string> MaskClassifier::unknown_labels() const {
  std::vector<std::string> unknown;
  for (std::size_t i = 0; i < labels().size(); ++i)
    if (meanings_[i] == LabelMeaning::other && !stated_[i]) unknown.push_back(labels()[i]);
  return unknown;
}

int MaskClassifier::input_size() const { return model_->options().backbone.input_size; }

void MaskClassifier::classify_batch(std::span<const Image> crops,
                                    std::vector<Classification>& results) {
  const auto batch = static_cast<std::int64_t>(crops.size());
  const std::int64_t pixels = plan_->input_shape().count();
  const auto preprocessing = model_->options().backbone.preprocessing;
  float* const inputs = static_cast<float*>(inputs_.get());
  parallel_for(batch, [&](std::int64_t i) {
    to_network_input(crops[static_cast<std::size_t>(i)], inputs + i * pixels, preprocessing);
  });
  plan_->run(inputs, batch);
  const auto classes = static_cast<std::int64_t>(labels().size());
  for (std::int64_t i = 0; i < batch; ++i) {
    const float* row = plan_->output() + i * classes;
    if (!std::all_of(row, row + classes, [](float x) { return std::isfinite(x); }))
      throw std::runtime_error(
          "the classifier's answer is not a number: its weights are of no use");
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
  const auto capacity = static_cast<std::size_t>(plan_->capacity());
  for (std::size_t done = 0; done < crops.size(); done += capacity)
    classify_batch(crops.subspan(done, std::min(capacity, crops.size() - done)), results);
  return results;
}

std::vector<std::vector<Classification>> MaskClassifier::classify(
    std::span<const FacesInView> looks) {
  struct Task {
    std::size_t look;
    Box box;
  };
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < looks.size(); ++i)
    for (const Detection& face : looks[i].found->faces) tasks.push_back({i, face.box});
  std::vector<Image> crops(tasks.size());
  parallel_try(tasks.size(), [&](std::size_t task) {
    const auto& [image, found, view] = looks[tasks[task].look];
    Image crop = face_crop(image, tasks[task].box, found->margin, input_size());
    crops[task] = view == View::mirrored ? flip_horizontally(crop) : std::move(crop);
  });
  std::vector<Classification> classes = classify(crops);
  std::vector<std::vector<Classification>> results(looks.size());
  for (std::size_t task = 0; task < tasks.size(); ++task)
    results[tasks[task].look].push_back(std::move(classes[task]));
  return results;
}

}  // namespace maskwatch::vision
