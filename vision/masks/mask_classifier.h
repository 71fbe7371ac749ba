// Says of faces in a picture which class of a model they belong to: mask or no mask, for the models
// that ship. Crops, scales and classifies all faces of a picture together.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vision/faces/face_detector.h"
#include "vision/image/image.h"
#include "vision/masks/labels.h"
#include "vision/masks/view.h"

namespace maskwatch::nn {
class Classifier;
class Plan;
}  // namespace maskwatch::nn

namespace maskwatch::vision {

struct Classification {
  int label = -1;                    // index into MaskClassifier::labels()
  std::vector<float> probabilities;  // of all labels
  float probability() const { return probabilities[static_cast<std::size_t>(label)]; }
};

class MaskClassifier {
 public:
  // Reads a model file. std::runtime_error names it and its fault: unreadable, damaged, of another
  // architecture, without class names, with meanings of another kind. `capacity`: faces that one
  // run of the network takes; more are classified in several. std::invalid_argument if it is
  // below 1. The network runs on `device`, which must outlive the classifier.
  explicit MaskClassifier(const std::string& model_file, std::int64_t capacity = 32,
                          kernels::Device& device = kernels::cpu_device());

  // The same from the file's contents; `name` stands for the file in errors.
  MaskClassifier(std::span<const std::uint8_t> contents, const std::string& name,
                 std::int64_t capacity = 32, kernels::Device& device = kernels::cpu_device());
  ~MaskClassifier();
  MaskClassifier(MaskClassifier&&) noexcept;
  MaskClassifier& operator=(MaskClassifier&&) noexcept;

  const std::vector<std::string>& labels() const;
  // Of each of the labels: what the model file says ("meanings"), or else the label's name.
  const std::vector<LabelMeaning>& meanings() const { return meanings_; }
  // Says what labels mean in place of that. Labels that the model does not have are passed over.
  void set_meanings(const std::map<std::string, LabelMeaning>& meanings);
  // Those that are `other` because their names are not understood, and nothing else says what they
  // mean.
  std::vector<std::string> unknown_labels() const;
  // Side of the network's input in pixels.
  int input_size() const;

  // One result for each crop; std::invalid_argument for one of another size. Not for two threads at
  // once.
  std::vector<Classification> classify(std::span<const Image> crops);

  // Crops and classifies the faces of RGB or grey images: a list for each. std::invalid_argument
  // for a face that holds no pixel of its image.
  std::vector<std::vector<Classification>> classify(std::span<const FacesInView> looks);

 private:
  MaskClassifier(std::unique_ptr<nn::Classifier> model, const std::string& name,
                 std::int64_t capacity, kernels::Device& device);
  void classify_batch(std::span<const Image> crops, std::vector<Classification>& results);

  std::unique_ptr<nn::Classifier> model_;
  std::vector<LabelMeaning> meanings_;
  std::vector<bool> stated_;  // of each of them: it was not taken from the name
  std::unique_ptr<nn::Plan> plan_;
  std::shared_ptr<void> inputs_;  // [capacity, size, size, 3] floats in the host's memory
};

}  // namespace maskwatch::vision
