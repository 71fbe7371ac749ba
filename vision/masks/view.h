// The faces of an image, as a classifier is to see them.
#pragma once

#include <span>
#include <vector>

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

// As they are, the faces `found` in each of `images`; both must outlive the looks.
// std::invalid_argument unless there are as many lists of faces as images.
std::vector<FacesInView> looks_at(std::span<const ImageView> images,
                                  std::span<const LocatedFaces> found);

}  // namespace maskwatch::vision
