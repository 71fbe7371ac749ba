// The faces of an image, as a classifier is to see them.
#pragma once

#include "vision/faces/face_detector.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

// As they are, or as in a mirror; what a network makes of both views errs in different ways.
enum class View { as_it_is, mirrored };

struct FacesInView {
  ImageView image;
  const LocatedFaces* found = nullptr;
  View view = View::as_it_is;
};

}  // namespace maskwatch::vision
