// One MaskDetector for all sources. Frames of several of them that are ready at the same time go
// through the networks as one batch, and while faces are found in some frames, those of others are
// classified. What comes of a frame does not depend on the others in its batch.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

#include "apps/live/batcher.h"
#include "vision/masks/mask_classifier.h"
#include "vision/masks/mask_detector.h"

namespace maskwatch::apps {

class SharedDetector {
 public:
  explicit SharedDetector(const MaskDetectorOptions& options);
  SharedDetector(const SharedDetector&) = delete;

  // As MaskDetector's, from any number of threads at once.
  LocatedFaces find_faces(const ImageView& image);
  std::vector<Face> classify(const ImageView& image, const LocatedFaces& found, vision::View view);

  // Calls body(detector, index) while no faces are found, so that it may take another face
  // detector. `index` is 0 at first, and stays what the last body made it.
  template <typename Body>
  void between_batches(const Body& body) {
    finding_.alone([&] {
      body(detector_, face_detector_index_);
      const std::lock_guard lock(name_mutex_);
      face_detector_name_ = detector_.face_detector_name();
    });
  }
  // Of the one in use; from any thread.
  std::string face_detector_name() const;

  // For what does not change, and before the first frame.
  const MaskDetector& detector() const { return detector_; }

 private:
  MaskDetector detector_;
  std::size_t face_detector_index_ = 0;
  mutable std::mutex name_mutex_;
  std::string face_detector_name_;
  Batcher<ImageView, LocatedFaces> finding_;
  Batcher<vision::FacesInView, std::vector<Face>> classifying_;
};

}  // namespace maskwatch::apps
