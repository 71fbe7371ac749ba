#include "apps/live/shared_detector.h"

#include <cstddef>

namespace maskwatch::apps {
namespace {

// More would keep the first waiting for long, and a batch is hardly faster for it.
constexpr std::size_t kMostTogether = 8;

}  // namespace

SharedDetector::SharedDetector(const MaskDetectorOptions& options)
    : detector_(options),
      face_detector_name_(detector_.face_detector_name()),
      finding_([this](auto images) { return detector_.find_all_faces(images); },
               [this] { return detector_.batches_faces() ? kMostTogether : 1; }),
      classifying_([this](auto looks) { return detector_.classify_all(looks); },
                   [] { return kMostTogether; }) {}

std::string SharedDetector::face_detector_name() const {
  const std::lock_guard lock(name_mutex_);
  return face_detector_name_;
}

LocatedFaces SharedDetector::find_faces(const ImageView& image) { return finding_.ask(image); }

std::vector<Face> SharedDetector::classify(const ImageView& image, const LocatedFaces& found,
                                           vision::View view) {
  return classifying_.ask({image, &found, view});
}

}  // namespace maskwatch::apps
