#include "vision/masks/mask_detector.h"

#include <stdexcept>
#include <utility>

#include "base/data_files.h"
#include "base/parallel.h"
#include "vision/image/draw.h"
#include "vision/masks/face_verification.h"
#include "vision/masks/label_fusion.h"
#include "vision/masks/mask_classifier.h"
#include "vision/masks/second_look.h"

namespace maskwatch {
namespace {

kernels::Device& device_of(const MaskDetectorOptions& options) {
  return options.device ? *options.device : kernels::cpu_device();
}

constexpr const char* kShippedModel = "models/mask_detector.safetensors";

std::unique_ptr<vision::FaceDetector> make_face_detector(const MaskDetectorOptions& options) {
  if (options.face_detector_bytes.empty())
    return vision::make_face_detector(options.face_detector, options.confidence, options.detail,
                                      device_of(options));
  return vision::make_face_detector(options.face_detector_bytes, "face detector",
                                    options.confidence, options.detail, device_of(options));
}

std::unique_ptr<vision::MaskClassifier> make_classifier(const MaskDetectorOptions& options) {
  if (options.capacity < 1)
    throw std::invalid_argument("MaskDetector: capacity " + std::to_string(options.capacity) +
                                " is below 1");
  if (!options.model_bytes.empty())
    return std::make_unique<vision::MaskClassifier>(options.model_bytes, "model", options.capacity,
                                                    device_of(options));
  return std::make_unique<vision::MaskClassifier>(
      options.model.empty() ? shipped_model_file() : options.model, options.capacity,
      device_of(options));
}

}  // namespace

std::string face_text(const Face& face) {
  return vision::result_text(face.label, face.meaning, face.probability);
}

std::string shipped_model_file() { return shipped_file("the model that ships", kShippedModel); }

MaskDetector::MaskDetector(const MaskDetectorOptions& options)
    : device_(&device_of(options)), confidence_(options.confidence), detail_(options.detail) {
  if (options.threads < 0)
    throw std::invalid_argument("MaskDetector: " + std::to_string(options.threads) + " threads");
  if (options.threads > 0) set_threads(options.threads);
  faces_ = make_face_detector(options);
  classifier_ = make_classifier(options);
  classifier_->set_meanings(options.meanings);
  for (std::size_t i = 0; i < classifier_->labels().size(); ++i) {
    if (classifier_->meanings()[i] == LabelMeaning::background) continue;
    labels_.push_back(classifier_->labels()[i]);
    meanings_.push_back(classifier_->meanings()[i]);
  }
  if (labels_.empty())
    throw std::runtime_error((options.model.empty() ? "the model" : options.model) +
                             ": all its classes mean background, so it cannot classify faces");
  include_candidates();
}
MaskDetector::~MaskDetector() = default;
MaskDetector::MaskDetector(MaskDetector&&) noexcept = default;
MaskDetector& MaskDetector::operator=(MaskDetector&&) noexcept = default;

std::vector<Face> MaskDetector::detect(const ImageView& image) {
  return classify(image, find_faces(image));
}

std::vector<Face> MaskDetector::detect_file(const std::string& path) {
  return detect(load_image(path));
}

std::vector<Face> MaskDetector::detect_encoded(std::span<const std::uint8_t> bytes) {
  return detect(vision::decode_image(bytes, "image"));
}

std::vector<std::vector<Face>> MaskDetector::detect_all(std::span<const ImageView> images) {
  return classify_all(images, find_all_faces(images));
}

LocatedFaces MaskDetector::find_faces(const ImageView& image) { return faces_->locate(image); }

std::vector<LocatedFaces> MaskDetector::find_all_faces(std::span<const ImageView> images) {
  return faces_->locate_all(images);
}

bool MaskDetector::batches_faces() const { return faces_->batches(); }

std::vector<Face> MaskDetector::classify(const ImageView& image, const LocatedFaces& found,
                                         vision::View view) {
  const vision::FacesInView look{image, &found, view};
  return std::move(classify_all(std::span(&look, 1))[0]);
}

std::vector<std::vector<Face>> MaskDetector::classify_all(std::span<const ImageView> images,
                                                          std::span<const LocatedFaces> found) {
  return classify_all(vision::looks_at(images, found));
}

std::vector<std::vector<Face>> MaskDetector::classify_all(
    std::span<const vision::FacesInView> looks) {
  auto classes = classifier_->classify(looks);
  vision::look_again(*classifier_, looks, classes);
  std::vector<std::vector<Face>> faces;
  for (std::size_t i = 0; i < looks.size(); ++i)
    faces.push_back(named(*looks[i].found, std::move(classes[i])));
  return faces;
}

std::vector<Face> MaskDetector::named(const LocatedFaces& found,
                                      std::vector<vision::Classification> classes) const {
  const auto& meanings = classifier_->meanings();
  classes = vision::fuse_labels(std::move(classes), meanings, found);
  std::vector<Face> faces;
  for (auto& [index, score, answer] :
       vision::verify_faces(std::move(classes), meanings, found, confidence_)) {
    const std::vector<float> weighed = vision::weighed_by_meaning(answer.probabilities, meanings_);
    const auto label = static_cast<std::size_t>(std::max_element(weighed.begin(), weighed.end()) -
                                                weighed.begin());
    faces.push_back({found.faces[index].box, score, static_cast<int>(label), labels_[label],
                     meanings_[label], weighed[label], std::move(answer.probabilities)});
  }
  return faces;
}

const std::vector<std::string>& MaskDetector::labels() const { return labels_; }

const std::vector<LabelMeaning>& MaskDetector::meanings() const { return meanings_; }

const std::vector<std::string>& MaskDetector::all_labels() const { return classifier_->labels(); }

std::vector<std::string> MaskDetector::unknown_labels() const {
  return classifier_->unknown_labels();
}

std::string MaskDetector::face_detector_name() const { return faces_->name(); }

const std::string& MaskDetector::device_name() const { return device_->name(); }

bool MaskDetector::heeds_detail() const { return faces_->heeds_detail(); }

void MaskDetector::use_face_detector(const std::string& face_detector) {
  faces_ = vision::make_face_detector(face_detector, confidence_, detail_, *device_);
  include_candidates();
}

void MaskDetector::include_candidates() {
  if (vision::knows(classifier_->meanings(), LabelMeaning::background))
    faces_->include_candidates(vision::candidate_score(confidence_));
}

void draw(Image& image, std::span<const Face> faces) {
  std::vector<vision::Label> labels;
  for (const Face& face : faces)
    labels.push_back({face.box, face_text(face), vision::color_of(face.meaning)});
  for (const vision::Label& label : labels) vision::draw_box(image, label.box, label.color);
  vision::draw_tabs(image, labels);
}

}  // namespace maskwatch
