// Runs a detector that was trained here (nn/ssd.h) on pictures of any size: scaled to one or more
// sizes, since large faces are found in a small picture and small ones in a large one.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nn/ssd.h"
#include "vision/faces/ssd.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

class TrainedSsd {
 public:
  // std::runtime_error names the file and its fault.
  TrainedSsd(const nn::Safetensors& contents, const std::string& path,
             kernels::Device& device = kernels::cpu_device());
  // Keeps a reference, and runs the network with the weights that it has at the first picture of
  // each size.
  explicit TrainedSsd(const nn::SsdNetwork& network,
                      kernels::Device& device = kernels::cpu_device())
      : network_(&network), device_(&device) {}

  // Surest first, boxes in pixels of the picture and cut off at its edges. std::invalid_argument
  // for an empty picture and for scales as said at SsdDetector::detect().
  std::vector<LabelledFace> detect(const ImageView& image, const SsdOptions& options);
  // Of images that all have the same size, each as detect() would; the network sees up to
  // kMostTogether of them at a time. std::invalid_argument for images of different sizes too.
  std::vector<std::vector<LabelledFace>> detect_all(std::span<const ImageView> images,
                                                    const SsdOptions& options);
  static constexpr std::size_t kMostTogether = 8;

  const std::vector<std::string>& labels() const { return network_->options().labels; }

 private:
  // The network for inputs of one size.
  struct Compiled {
    Compiled(const nn::SsdNetwork& network, int height, int width, kernels::Device& device,
             std::int64_t capacity);
    nn::Plan plan;
    std::vector<nn::Anchor> anchors;
  };
  using BoxesOfImages = std::vector<std::vector<nn::SsdBox>>;

  Compiled& compiled_for(int height, int width, std::size_t pictures);
  std::vector<std::vector<LabelledFace>> detect_together(std::span<const ImageView> images,
                                                         const SsdOptions& options);
  // Adds the boxes of one scale, in pixels of the images, to found[i] of image i.
  void find(std::span<const ImageView> images, const SsdScale& scale, float min_score,
            BoxesOfImages& found);
  // All boxes in that part of each of the images, in its pixels.
  BoxesOfImages look_at(std::span<const ImageView> images, const PixelBox& part, float min_score);

  std::unique_ptr<nn::SsdNetwork> loaded_;  // none: the network is the caller's
  const nn::SsdNetwork* network_;
  kernels::Device* device_;
  std::list<Compiled> compiled_;     // the last used first
  std::int64_t compiled_bytes_ = 0;  // that they hold beside their weights
  std::shared_ptr<void> input_;      // floats in the host's memory
  std::size_t input_size_ = 0;       // of them
  std::vector<Image> scaled_;        // memory of the pictures that are not looked at in tiles
};

}  // namespace maskwatch::vision
