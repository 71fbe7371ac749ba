// Faces that nobody has boxed, as a face detector (the teacher) sees them in training pictures:
// pseudo-labels (Lee, "Pseudo-Label", 2013).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "apps/training/detection_pictures.h"
#include "kernels/communicator.h"
#include "vision/faces/face_detector.h"

namespace maskwatch::apps {

// In pictures without boxes, what is fainter than TeacherOptions::sure, down to this score, may be
// a face or not.
inline constexpr double kFaintestTaught = 0.25;
// Of the smaller area: a teacher's box that shares more with one that stands there is that face.
inline constexpr double kTaughtOverlap = 0.25;

struct TeacherOptions {
  // Makes the teacher, one for each thread; it gives faces down to kFaintestTaught.
  std::function<std::unique_ptr<vision::FaceDetector>()> make;
  double sure = 0.6;  // least score of a face that counts, in [kFaintestTaught, 1]
  // Called after each picture, from any thread but from one at a time; must not throw.
  std::function<void(std::int64_t done)> progress;
  // Its ranks share the pictures out, and each gets all faces. Null: this process looks at all.
  kernels::Communicator* communicator = nullptr;
};

struct TaughtFaces {
  std::int64_t faces = 0, ignored = 0;  // boxes added
  std::int64_t left_out = 0;            // pictures without boxes that are not used
};

// Of pictures without boxes, the faces that the teacher is sure of become theirs, and fainter ones
// apart from these are ignored. Pictures where it is sure of none are taken out of `chosen`: they
// may be no background; and so are pictures with a class where it is sure of several, whose class
// may be that of one of them. In pictures with boxes, what the teacher is sure of apart from these
// is ignored: far faces in crowds are seldom boxed. Backgrounds stay as they are. Uses all threads;
// same result for any number of them and of ranks. Throws what `make` throws, and
// std::invalid_argument for another `sure`.
TaughtFaces teach(DetectionPictures& pictures, std::vector<int>& chosen,
                  const TeacherOptions& options);

}  // namespace maskwatch::apps
