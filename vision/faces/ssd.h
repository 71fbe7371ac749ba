// Faces found by a single-shot detector (Liu et al., "SSD: Single Shot MultiBox Detector", 2016):
// a network that scores a fixed set of boxes, the priors, and says how to move each. Reads files of
// both kinds: published detectors (vision/faces/published_ssd.h), and those trained here
// (vision/faces/trained_ssd.h), which also say of which class a face is.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "vision/image/image.h"

namespace maskwatch::nn {
struct Safetensors;
}  // namespace maskwatch::nn

namespace maskwatch::vision {

// A size to which a picture is brought for a detector trained here, and which of the boxes found
// there count.
struct SsdScale {
  int longest_side = 320;
  // Square root of the area, in pixels of the scaled picture.
  float least = 0, most = std::numeric_limits<float>::infinity();
  // The network looks at squares of so many pixels of the scaled picture, one by one; 0: at the
  // whole of it. The squares overlap, so that one of them holds each box of up to `most`, of which
  // three must fit into a square.
  int tile = 0;
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

class PublishedSsd;
class TrainedSsd;

class SsdDetector {
 public:
  // Runs on `device`, which must outlive it. std::runtime_error names the file and its fault.
  explicit SsdDetector(const std::string& file, kernels::Device& device = kernels::cpu_device());
  // The same from the bytes of a file; `name` stands for the file in errors.
  SsdDetector(std::span<const std::byte> bytes, const std::string& name,
              kernels::Device& device = kernels::cpu_device());
  ~SsdDetector();
  SsdDetector(SsdDetector&&) noexcept;
  SsdDetector& operator=(SsdDetector&&) noexcept;

  // Faces of an RGB or grey picture, surest first, boxes in pixels and cut off at its edges. Not
  // for two threads at once. Throws std::invalid_argument for an empty picture, and of a detector
  // trained here for a scale that is not in 32..4096 (65535 in tiles), or tiles that are too small.
  std::vector<Detection> detect(const ImageView& image, const SsdOptions& options = {});
  // The same with the probabilities of labels(); empty where there are none.
  std::vector<LabelledFace> detect_labelled(const ImageView& image, const SsdOptions& options = {});
  // Of images that all have the same size, each as detect_labelled() would. A detector trained here
  // looks at several together, which is faster.
  std::vector<std::vector<LabelledFace>> detect_all(std::span<const ImageView> images,
                                                    const SsdOptions& options = {});
  // The classes of faces; none of a published detector.
  const std::vector<std::string>& labels() const;

 private:
  SsdDetector(const nn::Safetensors& contents, const std::string& name, kernels::Device& device);
  // One of the two.
  std::unique_ptr<PublishedSsd> published_;
  std::unique_ptr<TrainedSsd> trained_;
};

}  // namespace maskwatch::vision
