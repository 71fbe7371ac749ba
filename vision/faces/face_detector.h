// The interface of every face detector, and how the one is made that the programs' --face names.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

// The detector that is meant where none is named.
inline constexpr const char* kDefaultFaceDetector = "ours";

// The margin of the detectors that ship (FaceDetector::margin): training crops faces with it too.
inline constexpr float kHeadMargin = 0.15f;

// The faces of one image, and the margin of the detector that found them.
struct LocatedFaces {
  std::vector<Detection> faces;
  float margin = 0;
  // Classes that the detector itself tells apart ("with_mask", ...), and of each face the
  // probability of each of them. Both are empty where it knows none.
  std::vector<std::string> labels = {};
  std::vector<std::vector<float>> probabilities = {};
  // Nobody looked: the whole picture is taken for a face.
  bool assumed = false;
};

class FaceDetector {
 public:
  virtual ~FaceDetector() = default;

  // The faces of an RGB or grey picture, surest first, each box with some pixel inside the picture.
  // Not for two threads at once. Throws std::invalid_argument for an empty picture.
  virtual std::vector<Detection> detect(const ImageView& image) = 0;

  // For messages: "ours (face_detector.safetensors)".
  virtual std::string name() const = 0;

  // How much a box must grow on each side, as a share of its size, to hold a whole head with some
  // room around it, as the pictures do that classifiers are trained on.
  virtual float margin() const = 0;

  // The same faces with all that the detector knows of them.
  virtual LocatedFaces locate(const ImageView& image) { return {detect(image), margin()}; }

  // The same of many pictures, each as locate() would.
  virtual std::vector<LocatedFaces> locate_all(std::span<const ImageView> images) {
    std::vector<LocatedFaces> found;
    for (const ImageView& image : images) found.push_back(locate(image));
    return found;
  }
  // Whether locate_all() is faster than locate() for one picture after the other.
  virtual bool batches() const { return false; }

  // Whether it looks closer at what `detail` of make_face_detector() asks for.
  virtual bool heeds_detail() const { return false; }

  // From now on also finds what is fainter than the confidence, down to `least_score`, for a caller
  // that knows more of faces; only a detector that knows classes does so, for others there would be
  // too many.
  virtual void include_candidates(float least_score) { static_cast<void>(least_score); }
};

// `face` is "ours" (the detector that ships, data/models/face_detector.safetensors, which knows
// classes), "haar" (frontal faces and pairs of eyes above masks, from opencv-data), "ssd"
// (data/weights/rfb_320.safetensors), "none" (the whole picture is the face), or the path of a
// cascade (.xml) or of a detector (.safetensors), converted or trained here. `confidence` in [0, 1]
// is the least probability of a face; a Haar cascade has no probabilities, there 10 * confidence
// windows must agree on a face (0.5: OpenCV's usual min_neighbors of 5), and 6 * confidence on each
// eye. Of a picture whose shorter side is longer than `detail` pixels, what would be too small to
// be found if it were that short may be left out: looking for the small takes most of the time. 0:
// nothing is left out; none: a detector trained here finds what it can in a picture whose longest
// side is 640 pixels, and others leave nothing out. Where a cascade or a converted detector finds
// nothing, faces that fill the picture are looked for (vision/faces/framed_retry.h); those trained
// here find them at the smaller of their scales. Networks run on `device`, which must outlive the
// detector; cascades always on the CPU. Throws std::invalid_argument for another word or
// confidence, and std::runtime_error that names a file that is missing or broken.
std::unique_ptr<FaceDetector> make_face_detector(const std::string& face, float confidence = 0.5f,
                                                 std::optional<int> detail = {},
                                                 kernels::Device& device = kernels::cpu_device());

// The same from the contents of a cascade or of a detector; `name` stands for the file in
// errors and messages.
std::unique_ptr<FaceDetector> make_face_detector(std::span<const std::uint8_t> contents,
                                                 const std::string& name, float confidence = 0.5f,
                                                 std::optional<int> detail = {},
                                                 kernels::Device& device = kernels::cpu_device());

// What a classifier sees of a face in an RGB or grey image: the box grown by `margin`, scaled to
// size x size pixels, RGB. Throws std::invalid_argument for a box that holds no pixel of the image
// and a size below 1.
Image face_crop(const ImageView& image, const Box& box, float margin, int size);

}  // namespace maskwatch::vision
