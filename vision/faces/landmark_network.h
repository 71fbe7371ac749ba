// 68 landmarks by a convolutional network: reads what data/convert_weights.py makes of the
// face-api landmark network (github.com/vladmandic/face-api, MIT), a DenseNet-like stack of
// separable convolutions that sees the cropped face, its proportions kept, in the middle of a
// square, and answers with the points in shares of that square.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vision/faces/landmarks.h"

namespace maskwatch::nn {
struct Safetensors;
}  // namespace maskwatch::nn

namespace maskwatch::vision {

class LandmarkNetwork {
 public:
  // std::runtime_error names the file and its fault.
  explicit LandmarkNetwork(const std::string& file);
  // The same from the bytes of a file; `name` stands for the file in errors.
  LandmarkNetwork(std::span<const std::byte> bytes, const std::string& name);
  ~LandmarkNetwork();
  LandmarkNetwork(LandmarkNetwork&&) noexcept;
  LandmarkNetwork& operator=(LandmarkNetwork&&) noexcept;

  // The points of the face in `box`, whose part inside the picture is what the network sees. Points
  // as LandmarkPredictor gives them. Not for two threads at once. Throws std::invalid_argument for
  // an empty or malformed picture and for a box that holds no pixel of it.
  Landmarks predict(const Image& image, const Box& box);

  int input_width() const;
  int input_height() const;

  // The network alone: from its input [height, width, 3], as it is after scaling, to 136 numbers
  // x0, y0, x1, ... in shares of the input; valid until the next run. std::invalid_argument for an
  // input of another size.
  std::span<const float> run(std::span<const float> input);

  // What predict() gives the network, with its errors.
  std::vector<float> network_input(const Image& image, const Box& box) const;

 private:
  struct Network;
  LandmarkNetwork(const nn::Safetensors& contents, const std::string& name);
  std::unique_ptr<Network> network_;
};

}  // namespace maskwatch::vision
