// A second search, in the image padded with a grey frame, for faces that fill an image: they are
// too large for the priors of an SSD, and leave the windows of a cascade no room.
#pragma once

#include <memory>

#include "vision/faces/face_detector.h"

namespace maskwatch::vision {

// Where `detector`, which knows no classes, finds nothing, it looks again at the image made
// smaller, in the middle of a grey frame of twice its size (data/README.md says what that
// brings).
std::unique_ptr<FaceDetector> retry_framed(std::unique_ptr<FaceDetector> detector);

}  // namespace maskwatch::vision
