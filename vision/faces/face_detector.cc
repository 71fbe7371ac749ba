#include "vision/faces/face_detector.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/data_files.h"
#include "base/file.h"
#include "vision/faces/eye_pairs.h"
#include "vision/faces/framed_retry.h"
#include "vision/faces/ssd.h"
#include "vision/haar/haar.h"
#include "vision/haar/haar_model.h"
#include "vision/image/picture_kinds.h"
#include "vision/image/resize.h"

namespace maskwatch::vision {
namespace {

// Of the frontal cascades the one that takes fewest patches for faces on pictures of masked people.
constexpr const char* kCascade = "haarcascade_frontalface_alt2.xml";
constexpr const char* kEyeCascades[] = {"haarcascade_lefteye_2splits.xml",
                                        "haarcascade_righteye_2splits.xml"};
constexpr const char* kOurs = "models/face_detector.safetensors";
constexpr const char* kSsdWeights = "weights/rfb_320.safetensors";

class WholePicture : public FaceDetector {
 public:
  std::vector<Detection> detect(const ImageView& image) override {
    if (image.empty()) throw std::invalid_argument("detect: an empty picture");
    return {{{0, 0, static_cast<float>(image.width), static_cast<float>(image.height)}, 1}};
  }
  LocatedFaces locate(const ImageView& image) override {
    LocatedFaces found{detect(image), margin()};
    found.assumed = true;
    return found;
  }
  std::string name() const override { return "none (the whole picture is the face)"; }
  float margin() const override { return 0; }
};

// Without the windows that would be smaller than the least one if the picture were cut to `detail`.
HaarOptions without_small(HaarOptions options, const HaarCascade& cascade, const ImageView& image,
                          int detail) {
  const int side = std::min(image.width, image.height);
  if (detail <= 0 || side <= detail) return options;
  options.min_width = std::max(options.min_width, cascade.window_width()) * side / detail;
  options.min_height = std::max(options.min_height, cascade.window_height()) * side / detail;
  return options;
}

class HaarFaces : public FaceDetector {
 public:
  HaarFaces(HaarCascade cascade, const std::string& file, float confidence, int detail)
      : cascade_(std::move(cascade)),
        name_("haar (" + std::filesystem::path(file).filename().string() + ")"),
        detail_(detail) {
    options_.min_neighbors = std::max(1, static_cast<int>(std::lround(10 * confidence)));
  }

  std::vector<Detection> detect(const ImageView& image) override {
    std::vector<Detection> faces =
        cascade_.detect(image, without_small(options_, cascade_, image, detail_));
    std::stable_sort(faces.begin(), faces.end(),
                     [](const Detection& a, const Detection& b) { return a.score > b.score; });
    return faces;
  }
  std::string name() const override { return name_; }
  bool heeds_detail() const override { return true; }
  float margin() const override { return kHeadMargin; }

 private:
  HaarCascade cascade_;
  HaarOptions options_;
  std::string name_;
  int detail_;
};

// A cascade for faces, and pairs of eyes for those that wear a mask, which the cascade mostly
// misses.
class HaarFacesAndEyes : public FaceDetector {
 public:
  HaarFacesAndEyes(const std::string& faces, const std::string& left, const std::string& right,
                   float confidence, int detail)
      : faces_(HaarCascade::load(faces), faces, confidence, detail),
        detail_(detail),
        eyes_{HaarCascade::load(left), HaarCascade::load(right)} {
    options_.min_neighbors = std::max(1, static_cast<int>(std::lround(6 * confidence)));
    options_.min_width = options_.min_height = kLeastEye;
  }

  std::vector<Detection> detect(const ImageView& image) override {
    std::vector<Detection> found = faces_.detect(image), eyes;
    for (const HaarCascade& cascade : eyes_)
      for (const Detection& eye :
           cascade.detect(image, without_small(options_, cascade, image, detail_)))
        if (!in_a_face(eye, found)) eyes.push_back(eye);
    const std::size_t by_faces = found.size();
    for (const Detection& face : faces_of_eyes(eyes)) {
      const Box inside = cut_off(face.box, image.width, image.height);
      const bool known =
          std::any_of(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(by_faces),
                      [&](const Detection& other) {
                        return intersection_over_union(other.box, inside) > kMaxOverlap;
                      });
      if (!known && inside.width >= 1 && inside.height >= 1) found.push_back({inside, face.score});
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const Detection& a, const Detection& b) { return a.score > b.score; });
    return found;
  }
  std::string name() const override { return faces_.name() + " and pairs of eyes"; }
  bool heeds_detail() const override { return true; }
  float margin() const override { return faces_.margin(); }

 private:
  static constexpr int kLeastEye = 12;
  static constexpr float kMaxOverlap = .3f;

  // Such an eye is spoken for: paired with a neighbour's it would make a face between the two.
  static bool in_a_face(const Detection& eye, std::span<const Detection> faces) {
    return std::any_of(faces.begin(), faces.end(),
                       [&](const Detection& face) { return contains(face.box, center(eye.box)); });
  }

  HaarFaces faces_;
  int detail_;
  std::array<HaarCascade, 2> eyes_;
  HaarOptions options_;
};

// Beyond the largest scale of SsdOptions: each twice the one before, up to the size at which a
// picture's shorter side is `detail` pixels (0: its own size), unless that is hardly larger.
std::vector<SsdScale> scales_of_detail(int width, int height, int detail) {
  constexpr int kTile = 640;
  constexpr double kHardlyLarger = 1.5;
  const SsdScale largest = SsdOptions().scales.back();
  const int shorter = std::min(width, height);
  double last = std::max(width, height);
  if (detail > 0 && shorter > detail) last *= static_cast<double>(detail) / shorter;
  std::vector<SsdScale> scales;
  for (double before = largest.longest_side; last >= kHardlyLarger * before;) {
    before = std::min(2 * before, last);
    scales.push_back({static_cast<int>(std::lround(before)), 0, largest.most, kTile});
  }
  return scales;
}

class SsdFaces : public FaceDetector {
 public:
  // `kind` is what the detector is called in front of its file.
  SsdFaces(SsdDetector detector, const std::string& kind, const std::string& file, float confidence,
           std::optional<int> detail)
      : detector_(std::move(detector)),
        name_(kind + " (" + std::filesystem::path(file).filename().string() + ")"),
        detail_(detail) {
    options_.confidence = confidence;
  }

  bool knows_classes() const { return !detector_.labels().empty(); }

  std::vector<Detection> detect(const ImageView& image) override {
    return detector_.detect(image, options_for(image));
  }
  LocatedFaces locate(const ImageView& image) override {
    return located(detector_.detect_labelled(image, options_for(image)));
  }
  // Pictures of one size go through the network together.
  std::vector<LocatedFaces> locate_all(std::span<const ImageView> images) override {
    std::map<std::pair<int, int>, std::vector<std::size_t>> by_size;
    for (std::size_t i = 0; i < images.size(); ++i)
      by_size[{images[i].width, images[i].height}].push_back(i);
    std::vector<LocatedFaces> found(images.size());
    for (const auto& [size, places] : by_size) {
      std::vector<ImageView> alike;
      for (const std::size_t i : places) alike.push_back(images[i]);
      auto faces = detector_.detect_all(alike, options_for(alike[0]));
      for (std::size_t i = 0; i < places.size(); ++i)
        found[places[i]] = located(std::move(faces[i]));
    }
    return found;
  }
  bool batches() const override { return knows_classes(); }
  void include_candidates(float least_score) override {
    if (knows_classes()) options_.confidence = std::min(options_.confidence, least_score);
  }
  std::string name() const override { return name_; }
  bool heeds_detail() const override { return knows_classes(); }
  float margin() const override { return kHeadMargin; }

 private:
  LocatedFaces located(std::vector<LabelledFace> faces) const {
    LocatedFaces found{{}, margin(), detector_.labels()};
    for (LabelledFace& labelled : faces) {
      found.faces.push_back(labelled.face);
      if (knows_classes()) found.probabilities.push_back(std::move(labelled.probabilities));
    }
    return found;
  }
  // With the scales at which `detail` is to be seen.
  SsdOptions options_for(const ImageView& image) const {
    SsdOptions options = options_;
    if (detail_ && knows_classes())
      for (const SsdScale& scale : scales_of_detail(image.width, image.height, *detail_))
        options.scales.push_back(scale);
    return options;
  }

  SsdDetector detector_;
  SsdOptions options_;
  std::string name_;
  std::optional<int> detail_;
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

std::string installed_cascade(const char* name) {
  if (const auto file = find_haar_cascade(name)) return *file;
  throw std::runtime_error(std::string(name) +
                           " is not installed (Debian's package opencv-data has it)");
}

void check(float confidence, std::optional<int> detail) {
  if (detail.value_or(0) < 0)
    throw std::invalid_argument("make_face_detector: a detail of " + std::to_string(*detail) +
                                " pixels");
  if (!(confidence >= 0 && confidence <= 1))
    throw std::invalid_argument("make_face_detector: confidence " + std::to_string(confidence) +
                                " is not between 0 and 1");
}

// Those that were trained here, the ones that know classes, find faces that fill the picture
// without a second look.
std::unique_ptr<FaceDetector> make_ssd(SsdDetector ssd, const std::string& kind,
                                       const std::string& file, float confidence,
                                       std::optional<int> detail) {
  auto detector = std::make_unique<SsdFaces>(std::move(ssd), kind, file, confidence, detail);
  if (detector->knows_classes()) return detector;
  return retry_framed(std::move(detector));
}

// XML begins with a tag, maybe after a byte-order mark and white space; safetensors with a length.
bool is_xml(std::string_view contents) {
  if (contents.starts_with("\xEF\xBB\xBF")) contents.remove_prefix(3);
  const std::size_t first = contents.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && contents[first] == '<';
}

}  // namespace

std::unique_ptr<FaceDetector> make_face_detector(const std::string& face, float confidence,
                                                 std::optional<int> detail,
                                                 kernels::Device& device) {
  check(confidence, detail);
  if (face == "none") return std::make_unique<WholePicture>();
  if (face == "ours") {
    const std::string file = shipped_file("the face detector that ships", kOurs);
    return make_ssd(SsdDetector(file, device), face, file, confidence, detail);
  }
  if (face == "ssd") {
    const std::string file = converted_ssd();
    return make_ssd(SsdDetector(file, device), face, file, confidence, detail);
  }
  if (face == "haar")
    return retry_framed(std::make_unique<HaarFacesAndEyes>(
        installed_cascade(kCascade), installed_cascade(kEyeCascades[0]),
        installed_cascade(kEyeCascades[1]), confidence, detail.value_or(0)));
  const std::string extension = lower_case_extension(face);
  if (extension == ".xml")
    return retry_framed(
        std::make_unique<HaarFaces>(HaarCascade::load(face), face, confidence, detail.value_or(0)));
  if (extension == ".safetensors")
    return make_ssd(SsdDetector(face, device), "ssd", face, confidence, detail);
  if (std::filesystem::is_regular_file(face)) {
    const std::string contents = read_file(face);
    return make_face_detector(
        {reinterpret_cast<const std::uint8_t*>(contents.data()), contents.size()}, face, confidence,
        detail, device);
  }
  throw std::invalid_argument(
      "\"" + face +
      "\" is not a face detector: ours, haar, ssd, none, a cascade (.xml) or a detector "
      "(.safetensors)");
}

std::unique_ptr<FaceDetector> make_face_detector(std::span<const std::uint8_t> contents,
                                                 const std::string& name, float confidence,
                                                 std::optional<int> detail,
                                                 kernels::Device& device) {
  check(confidence, detail);
  const std::string_view text(reinterpret_cast<const char*>(contents.data()), contents.size());
  if (is_xml(text))
    return retry_framed(std::make_unique<HaarFaces>(HaarCascade::parse(text, name), name,
                                                    confidence, detail.value_or(0)));
  return make_ssd(SsdDetector(std::as_bytes(contents), name, device), "ssd", name, confidence,
                  detail);
}

Image face_crop(const ImageView& image, const Box& box, float margin, int size) {
  Image crop = crop_and_resize(image, grow_box(box, margin), size, size);
  return crop.channels == 3 ? crop : to_rgb(crop);
}

}  // namespace maskwatch::vision
