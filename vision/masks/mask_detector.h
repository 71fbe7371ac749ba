// The front door: finds the faces of an image and says of each whether it wears a mask.
//
//   maskwatch::MaskDetector detector;
//   for (const maskwatch::Face& face : detector.detect(maskwatch::load_image("people.jpg")))
//     std::cout << face.label << ' ' << face.probability << '\n';
//
// Errors: std::invalid_argument for what no detector can do (an empty image, a confidence above 1),
// std::runtime_error that names the file that is missing or broken.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vision/faces/face_detector.h"
#include "vision/image/image.h"
#include "vision/masks/labels.h"
#include "vision/masks/view.h"

namespace maskwatch {

namespace vision {
class MaskClassifier;
struct Classification;
}  // namespace vision

using vision::Box;
using vision::Image;
using vision::ImageView;
using vision::LabelMeaning;
using vision::load_image;
using vision::LocatedFaces;
using vision::save_image;

struct Face {
  Box box;               // pixels of the image
  float score = 0;       // of being a face: higher is surer (vision/masks/face_verification.h)
  int label_index = -1;  // into MaskDetector::labels(): the likeliest of the likeliest meaning
  std::string label;     // "with_mask", as the model names it
  LabelMeaning meaning = LabelMeaning::other;
  // Of what the label means (vision::weighed_by_meaning) and of all labels, with what the face
  // detector says of them, if it knows classes (vision/masks/label_fusion.h).
  float probability = 0;
  std::vector<float> probabilities;
};

// "Mask: 99.12%"
std::string face_text(const Face& face);

struct MaskDetectorOptions {
  std::string model;                          // path; empty: the model that ships
  std::span<const std::uint8_t> model_bytes;  // the file's contents in place of a path
  // What labels of the model mean, by their names, in place of what the model says
  // (vision/masks/labels.h). Labels that it does not have are passed over.
  std::map<std::string, LabelMeaning> meanings;
  // As vision::make_face_detector takes it: "ours", "haar", "ssd", "none", or a path.
  std::string face_detector = vision::kDefaultFaceDetector;
  // Contents of a cascade or of a converted detector in place of it.
  std::span<const std::uint8_t> face_detector_bytes;
  float confidence = .5f;          // least score of faces; see vision::make_face_detector
  std::optional<int> detail = {};  // see vision::make_face_detector
  int capacity = 32;               // faces that one run of the network takes
  int threads = 0;                 // of the whole process; 0: as they are, at first one a core
  // Where the networks run (kernels::device_named()); null: on the CPU. It must outlive the
  // detector.
  kernels::Device* device = nullptr;
};

// Path of the model that ships, wherever the current folder is. std::runtime_error if it is not
// found.
std::string shipped_model_file();

// Not for two threads at once, but as said at classify().
class MaskDetector {
 public:
  // Reads the models; bytes in `options` are not needed any more after that.
  explicit MaskDetector(const MaskDetectorOptions& options = {});
  ~MaskDetector();
  MaskDetector(MaskDetector&&) noexcept;
  MaskDetector& operator=(MaskDetector&&) noexcept;

  // The faces of an RGB or grey image, surest first.
  std::vector<Face> detect(const ImageView& image);
  // Of a file that load_image reads, and of the contents of one.
  std::vector<Face> detect_file(const std::string& path);
  std::vector<Face> detect_encoded(std::span<const std::uint8_t> bytes);
  // Of many images; the networks see several of them together, which is faster. Images in a vector:
  // detect_all(views_of(images)).
  std::vector<std::vector<Face>> detect_all(std::span<const ImageView> images);

  // The two steps of detect(). `found` is what find_faces() gives, or a part of it;
  // std::invalid_argument for a face that holds no pixel of the image, and unless there are
  // probabilities for each face where there are labels. While one thread finds the faces of an
  // image, another one may classify those of the one before. Where the model knows a class of
  // background, find_faces() finds fainter ones too, and of those given it, classify() gives back
  // the ones that are faces.
  LocatedFaces find_faces(const ImageView& image);
  std::vector<Face> classify(const ImageView& image, const LocatedFaces& found,
                             vision::View view = vision::View::as_it_is);
  // find_faces() of many images. Where batches_faces(), those of one size go through the network
  // together, which is faster than one by one.
  std::vector<LocatedFaces> find_all_faces(std::span<const ImageView> images);
  bool batches_faces() const;
  // Of many images at once, and as many `found`. An image without faces may be empty.
  std::vector<std::vector<Face>> classify_all(std::span<const ImageView> images,
                                              std::span<const LocatedFaces> found);
  // The same, each in its own view.
  std::vector<std::vector<Face>> classify_all(std::span<const vision::FacesInView> looks);

  // The classes of the model, without background: that is never the answer.
  const std::vector<std::string>& labels() const;
  // What each label means, in the order of labels().
  const std::vector<LabelMeaning>& meanings() const;
  // The classes of the model, with background.
  const std::vector<std::string>& all_labels() const;
  // Those of which nobody says what they mean: vision::MaskClassifier::unknown_labels().
  std::vector<std::string> unknown_labels() const;

  // For messages: "ours (face_detector.safetensors)".
  std::string face_detector_name() const;
  // Where the networks run: "cpu", "cuda:0".
  const std::string& device_name() const;
  // Whether `detail` makes a difference to the face detector.
  bool heeds_detail() const;
  // Another face detector with the confidence and detail of before, in the thread that finds faces.
  // If it cannot be made the old one stays.
  void use_face_detector(const std::string& face_detector);

 private:
  std::vector<Face> named(const LocatedFaces& found,
                          std::vector<vision::Classification> classes) const;

  void include_candidates();

  std::unique_ptr<vision::FaceDetector> faces_;
  std::unique_ptr<vision::MaskClassifier> classifier_;
  std::vector<std::string> labels_;
  std::vector<LabelMeaning> meanings_;
  kernels::Device* device_;
  float confidence_;
  std::optional<int> detail_;
};

// Draws a box around each face, in the colour of its meaning, and its text on a tab as far as there
// is room beside the other faces, into an RGB image; std::invalid_argument for another.
void draw(Image& image, std::span<const Face> faces);

}  // namespace maskwatch
