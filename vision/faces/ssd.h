// Faces found by a single-shot detector (Liu et al., "SSD: Single Shot MultiBox Detector", 2016):
// a network that scores a fixed set of boxes, the priors, and says how to move each. Reads the
// files that data/convert_weights.py makes: layers in metadata "graph", the form of the detector in
// metadata "detector". Runs RFB-320 (Linzaer, Ultra-Light-Fast-Generic-Face-Detector-1MB) and the
// SSD MobileNetV1 of face-api, and whatever else is written in that form; and the files of
// detectors trained here (nn/ssd.h), which also say of which class a face is.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::nn {
struct Safetensors;
}  // namespace maskwatch::nn

namespace maskwatch::vision {

// A box by its centre and size, in shares of the picture's width and height.
struct CenterBox {
  float x = 0;
  float y = 0;
  float width = 0;
  float height = 0;
};

// The priors of a detector for pictures of width x height: level by level, row by row, column by
// column, and there one square of each size in pixels; a level of stride s has ceil(side / s) cells
// a side. Clipped to [0, 1]. Throws std::invalid_argument for lists of different lengths and sizes
// that are not positive.
std::vector<CenterBox> make_priors(int width, int height, std::span<const int> strides,
                                   const std::vector<std::vector<float>>& min_boxes);

// How far a network's numbers move a prior.
struct Variances {
  float center = 0.1f;
  float size = 0.2f;
};

// Boxes in shares of the picture from encoded[i] = (x, y, width, height), relative to priors[i].
// Throws std::invalid_argument unless there are four numbers for each prior.
std::vector<Box> decode_boxes(std::span<const float> encoded, std::span<const CenterBox> priors,
                              const Variances& variances = {});

// A size to which a picture is brought for a detector trained here, and which of the boxes found
// there count.
struct SsdScale {
  int longest_side = 320;
  // Square root of the area, in pixels of the scaled picture.
  float least = 0, most = std::numeric_limits<float>::infinity();
};

struct SsdOptions {
  float confidence = 0.5f;                // least score, above which a box is a face
  std::optional<float> max_overlap = {};  // of two faces; none: 0.3, or 0.45 if trained here
  // Of detectors trained here; what they find is joined. Others have an input of one size.
  std::vector<SsdScale> scales = {{320, 16}, {640, 0, 110}};
};

struct LabelledFace {
  Detection face;
  std::vector<float> probabilities;  // of SsdDetector::labels(); sum to 1
};

class TrainedSsd;

class SsdDetector {
 public:
  // std::runtime_error names the file and its fault.
  explicit SsdDetector(const std::string& file);
  // The same from the bytes of a file; `name` stands for the file in errors.
  SsdDetector(std::span<const std::byte> bytes, const std::string& name);
  ~SsdDetector();
  SsdDetector(SsdDetector&&) noexcept;
  SsdDetector& operator=(SsdDetector&&) noexcept;

  // Faces of an RGB or grey picture, surest first, boxes in pixels and cut off at its edges. Not
  // for two threads at once. Throws std::invalid_argument for an empty picture.
  std::vector<Detection> detect(const Image& image, const SsdOptions& options = {});
  // The same with the probabilities of labels(); empty where there are none.
  std::vector<LabelledFace> detect_labelled(const Image& image, const SsdOptions& options = {});
  // The classes of faces; none of a published detector.
  const std::vector<std::string>& labels() const;

  // --- Of published detectors alone: std::invalid_argument of others, whose input has no fixed
  // size. ---
  int input_width() const;
  int input_height() const;

  // The network alone, for an input as it is after scaling, [height, width, 3]: `scores` [P,
  // classes] and `boxes` [P, 4], encoded; valid until the next run.
  struct Raw {
    std::span<const float> scores;
    std::span<const float> boxes;
  };
  Raw run(std::span<const float> input);

  // What detect() gives the network for a picture.
  std::vector<float> network_input(const Image& image) const;
  // Raw::boxes by the detector's own priors, in shares of the input.
  std::vector<Box> decode(std::span<const float> boxes) const;

 private:
  struct Network;
  SsdDetector(const nn::Safetensors& contents, const std::string& name);
  Network& published() const;
  std::vector<Detection> detect_published(const Image& image, const SsdOptions& options);
  std::unique_ptr<Network> network_;     // of a published file
  std::unique_ptr<TrainedSsd> trained_;  // or of one trained here
};

}  // namespace maskwatch::vision
