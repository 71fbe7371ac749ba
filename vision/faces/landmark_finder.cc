#include "vision/faces/landmark_finder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>

#include "base/file.h"
#include "vision/faces/landmark_network.h"
#include "vision/image/picture_kinds.h"

namespace maskwatch::vision {
namespace {

constexpr const char* kDlibName = "shape_predictor_68_face_landmarks.dat";

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

// `face` cut to a square of its lower part, where detectors' boxes agree best.
Box lower_square(const Box& face) {
  const float side = std::max(face.width, face.height) * .95f;
  return {face.x + (face.width - side) / 2, face.y + face.height - side, side, side};
}

class Trees : public LandmarkFinder {
 public:
  explicit Trees(const std::string& file)
      : predictor_(LandmarkPredictor::load(file)), file_(file_name(file)) {}

  // The box that dlib's own detector gives for bare faces, by the median; its answers settle within
  // two rounds, whatever the first box.
  LandmarkFit find(const Image& image, const Box& face) override {
    clamp_box(image, face);  // the trees answer outside the picture too
    const Landmarks first = predictor_.predict(image, lower_square(face));
    return fit_landmarks(predictor_, image, box_about(first, 2.83f, .085f));
  }
  bool holds(const LandmarkFit& fit) const override { return fit.spread < .024f; }
  std::unique_ptr<LandmarkFinder> copy() const override { return std::make_unique<Trees>(*this); }
  std::string name() const override { return "dlib (" + file_ + ")"; }
  std::string licence() const override {
    return file_ == kDlibName ? std::string(kLandmarkLicence) : std::string();
  }

 private:
  LandmarkPredictor predictor_;
  std::string file_;
};

class NetworkFinder : public LandmarkFinder {
 public:
  explicit NetworkFinder(const std::string& path)
      : NetworkFinder(std::make_shared<const std::string>(read_file(path)), path) {}
  // `bytes` of the file: a copy must be the same finder, whatever became of the file since.
  NetworkFinder(std::shared_ptr<const std::string> bytes, const std::string& path)
      : network_(std::as_bytes(std::span(*bytes)), path), bytes_(std::move(bytes)), path_(path) {}

  // The second box is the one in which the network's points come nearest to dlib's.
  LandmarkFit find(const Image& image, const Box& face) override {
    const auto predict = [&](const Box& box) { return network_.predict(image, box); };
    const Landmarks first = predict(face);
    const Box about = box_about(first, 3.5f, -.2f);
    if (!std::isfinite(about.x + about.y + about.width))  // weights of no use
      return {first, std::numeric_limits<float>::infinity()};
    return fit_landmarks(predict, inside(image, about));
  }
  bool holds(const LandmarkFit& fit) const override { return fit.spread < .024f; }
  std::unique_ptr<LandmarkFinder> copy() const override {
    return std::make_unique<NetworkFinder>(bytes_, path_);
  }
  std::string name() const override { return "network (" + file_name(path_) + ")"; }

 private:
  // A first answer far outside the picture would leave nothing to look at.
  static Box inside(const Image& image, Box box) {
    const auto width = static_cast<float>(image.width), height = static_cast<float>(image.height);
    const auto within = [](float at, float side, float end) {
      return std::clamp(at, 1 - side, end - 1);
    };
    box.width = box.height = std::min(box.width, 4 * std::max(width, height));
    box.x = within(box.x, box.width * .9f, width);
    box.y = within(box.y, box.height * .9f, height);
    return box;
  }

  LandmarkNetwork network_;
  std::shared_ptr<const std::string> bytes_;
  std::string path_;
};

}  // namespace

Box box_about(const Landmarks& points, float side, float above) {
  Point middle;
  for (const Point& p : points) {
    middle.x += p.x / 68;
    middle.y += p.y / 68;
  }
  float squares = 0;
  for (const Point& p : points)
    squares += (std::pow(p.x - middle.x, 2.f) + std::pow(p.y - middle.y, 2.f)) / 68;
  const float spread = std::max(std::sqrt(squares), 1.f);
  const float length = side * spread;
  return {middle.x - length / 2, middle.y - above * spread - length / 2, length, length};
}

std::unique_ptr<LandmarkFinder> make_landmark_finder(const std::string& landmarks) {
  const std::string path = landmarks == "dlib" ? std::string(kDlibLandmarkFile) : landmarks;
  const std::string extension = lower_case_extension(path);
  if (landmarks == "dlib" && !std::filesystem::exists(path))
    throw std::runtime_error(path + ": no such file (Debian's package libdlib-data has it)");
  if (extension == ".dat") return std::make_unique<Trees>(path);
  if (extension == ".safetensors") return std::make_unique<NetworkFinder>(path);
  throw std::invalid_argument("\"" + landmarks +
                              "\" finds no landmarks: dlib, the file of a dlib predictor (.dat) or "
                              "of a converted network (.safetensors)");
}

}  // namespace maskwatch::vision
