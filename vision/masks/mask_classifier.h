// Says of faces in a picture which class of a model they belong to: mask or no mask, for the models
// that ship. Crops, scales and classifies all faces of a picture together.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nn/classifier.h"
#include "vision/image/draw.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

// What a class name means for a reader.
enum class MaskState { mask, no_mask, other };

// with_mask, mask, masked; without_mask, no_mask, unmasked; all else is `other`. Case and the
// choice of space, '-' or '_' do not matter.
MaskState mask_state(const std::string& label);

// "Mask", "No Mask", or the label itself with spaces for underscores.
std::string display_name(const std::string& label);

// Green, red, or orange.
Color display_color(const std::string& label);

struct Classification {
  int label = -1;                    // index into MaskClassifier::labels()
  std::vector<float> probabilities;  // of all labels
  float probability() const { return probabilities[static_cast<std::size_t>(label)]; }
};

class MaskClassifier {
 public:
  // Reads a model file. std::runtime_error names it and its fault: unreadable, damaged, of another
  // architecture, without class names. `capacity`: faces that one run of the network takes; more
  // are classified in several.
  explicit MaskClassifier(const std::string& model_file, std::int64_t capacity = 32);

  const std::vector<std::string>& labels() const { return model_->options().labels; }
  // Side of the network's input in pixels.
  int input_size() const { return model_->options().backbone.input_size; }

  // What the network sees of a face: the grown box, scaled to input_size() x input_size(). May be
  // called from several threads at once.
  Image crop(const Image& image, const Box& box, float margin) const;

  // One result for each crop; std::invalid_argument for one of another size. Not for two threads at
  // once.
  std::vector<Classification> classify(std::span<const Image> crops);

  // Crops and classifies.
  std::vector<Classification> classify(const Image& image, std::span<const Detection> faces,
                                       float margin);

 private:
  void classify_batch(std::span<const Image> crops, std::vector<Classification>& results);

  std::unique_ptr<nn::Classifier> model_;
  nn::Plan plan_;
  std::vector<float> inputs_;  // [capacity, size, size, 3]
};

// "Mask: 99.12%"
std::string result_text(const MaskClassifier& classifier, const Classification& result);

}  // namespace maskwatch::vision
