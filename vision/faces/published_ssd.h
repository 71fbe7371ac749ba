// Runs detectors that others published, on their input of one size: RFB-320 (Linzaer,
// Ultra-Light-Fast-Generic-Face-Detector-1MB), the SSD MobileNetV1 of face-api, and whatever else
// is written in the form that data/convert_weights.py makes: layers in metadata "graph", the form
// of the detector in metadata "detector".
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vision/faces/ssd.h"
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

class PublishedSsd {
 public:
  // std::runtime_error names the file and its fault.
  explicit PublishedSsd(const std::string& file);
  // The same of a file's contents; `name` stands for the file in errors.
  PublishedSsd(const nn::Safetensors& contents, const std::string& name,
               kernels::Device& device = kernels::cpu_device());
  ~PublishedSsd();

  // Surest first, boxes in pixels of the picture and cut off at its edges. std::invalid_argument
  // for an empty picture.
  std::vector<Detection> detect(const ImageView& image, const SsdOptions& options = {});

  // The network alone, for an input as it is after scaling, [height, width, 3]: `scores` [P,
  // classes] and `boxes` [P, 4], encoded; valid until the next run. std::invalid_argument for an
  // input of another size.
  struct Raw {
    std::span<const float> scores;
    std::span<const float> boxes;
  };
  Raw run(std::span<const float> input);

  // What detect() gives the network for a picture. std::invalid_argument for an empty one.
  std::vector<float> network_input(const ImageView& image) const;
  // Raw::boxes by the detector's own priors, in shares of the input. std::invalid_argument
  // unless there are four numbers for each prior.
  std::vector<Box> decode(std::span<const float> boxes) const;

 private:
  struct Network;
  std::unique_ptr<Network> network_;
};

}  // namespace maskwatch::vision
