#include "vision/face_detector.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>

#include "vision/data_files.h"
#include "vision/haar.h"
#include "vision/ssd.h"

namespace vision {
namespace {

// Of the frontal cascades the one that takes fewest patches for faces on pictures of masked people.
constexpr const char* kCascade = "haarcascade_frontalface_alt2.xml";
// Of 0, 0.15 and 0.3 the best for the boxes of frontalface_default on the validation pictures of a
// model of width 0.5: balanced accuracy 0.942, 0.954 and 0.950. Training crops faces with the same
// margin (--face).
constexpr float kMargin = 0.15f;
constexpr const char* kSsdWeights = "weights/rfb_320.safetensors";

class WholePicture : public FaceDetector {
 public:
  std::vector<Detection> detect(const Image& image) override {
    if (image.empty()) throw std::invalid_argument("detect: an empty picture");
    return {{{0, 0, static_cast<float>(image.width), static_cast<float>(image.height)}, 1}};
  }
  std::string name() const override { return "none (the whole picture is the face)"; }
  float margin() const override { return 0; }
};

class HaarFaces : public FaceDetector {
 public:
  HaarFaces(const std::string& file, float confidence)
      : cascade_(HaarCascade::load(file)),
        name_("haar (" + std::filesystem::path(file).filename().string() + ")") {
    options_.min_neighbors = std::max(1, static_cast<int>(std::lround(10 * confidence)));
  }

  std::vector<Detection> detect(const Image& image) override {
    std::vector<Detection> faces = cascade_.detect(image, options_);
    std::stable_sort(faces.begin(), faces.end(),
                     [](const Detection& a, const Detection& b) { return a.score > b.score; });
    return faces;
  }
  std::string name() const override { return name_; }
  float margin() const override { return kMargin; }

 private:
  HaarCascade cascade_;
  HaarOptions options_;
  std::string name_;
};

class SsdFaces : public FaceDetector {
 public:
  SsdFaces(const std::string& file, float confidence)
      : detector_(file), name_("ssd (" + std::filesystem::path(file).filename().string() + ")") {
    options_.confidence = confidence;
  }

  std::vector<Detection> detect(const Image& image) override {
    return detector_.detect(image, options_);
  }
  std::string name() const override { return name_; }
  float margin() const override { return kMargin; }

 private:
  SsdDetector detector_;
  SsdOptions options_;
  std::string name_;
};

std::string converted_ssd() {
  if (const auto file = find_data_file(kSsdWeights)) return *file;
  throw std::runtime_error(
      std::string("data/") + kSsdWeights +
      " is not there; its published weights do not come with this project (make it from the source "
      "folder: data/fetch.sh rfb-320-onnx; data/convert_weights.py "
      "downloads/version-RFB-320.onnx data/" +
      kSsdWeights + ")");
}

std::string installed_cascade() {
  if (const auto file = find_haar_cascade(kCascade)) return *file;
  throw std::runtime_error(std::string(kCascade) +
                           " is not installed (Debian's package opencv-data has it)");
}

std::string lower_extension(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

}  // namespace

std::unique_ptr<FaceDetector> make_face_detector(const std::string& face, float confidence) {
  if (!(confidence >= 0 && confidence <= 1))
    throw std::invalid_argument("make_face_detector: confidence " + std::to_string(confidence) +
                                " is not between 0 and 1");
  if (face == "none") return std::make_unique<WholePicture>();
  if (face == "ssd") return std::make_unique<SsdFaces>(converted_ssd(), confidence);
  if (face == "haar") return std::make_unique<HaarFaces>(installed_cascade(), confidence);
  const std::string extension = lower_extension(face);
  if (extension == ".xml") return std::make_unique<HaarFaces>(face, confidence);
  if (extension == ".safetensors") return std::make_unique<SsdFaces>(face, confidence);
  throw std::invalid_argument(
      "\"" + face +
      "\" is no face detector: haar, ssd, none, a cascade (.xml) or a converted "
      "detector (.safetensors)");
}

}  // namespace vision
