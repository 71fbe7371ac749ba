// Faces that fill an image: too large for the priors of an SSD, and a cascade's windows have no
// room around them.
#pragma once

#include <memory>

#include "vision/faces/face_detector.h"

namespace maskwatch::vision {

// Where `detector`, which knows no classes, finds nothing, it looks again at the image made
// smaller, in the middle of a grey frame of twice its size (docs/face_detectors.md says what that
// brings).
std::unique_ptr<FaceDetector> retry_framed(std::unique_ptr<FaceDetector> detector);

}  // namespace maskwatch::vision
