// A small model file with random weights, for as long as the object lives.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "nn/classifier.h"

class SavedModel {
 public:
  explicit SavedModel(maskwatch::nn::HeadKind head = maskwatch::nn::HeadKind::mask,
                      std::vector<std::string> labels = {"mask_worn_wrongly", "with_mask",
                                                         "without_mask"},
                      std::vector<std::string> meanings = {})
      : path_((std::filesystem::temp_directory_path() /
               ("maskwatch_model_" + std::to_string(getpid()) + ".safetensors"))
                  .string()) {
    maskwatch::nn::ClassifierOptions options;
    options.backbone.width = 0.1;
    options.backbone.input_size = 64;
    options.head = head;
    if (head != maskwatch::nn::HeadKind::none) options.labels = std::move(labels);
    options.meanings = std::move(meanings);
    maskwatch::nn::save_classifier(path_, maskwatch::nn::Classifier(options, 3));
  }
  ~SavedModel() { std::filesystem::remove(path_); }
  SavedModel(const SavedModel&) = delete;
  SavedModel& operator=(const SavedModel&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};
