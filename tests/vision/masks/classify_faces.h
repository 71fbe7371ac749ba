// The faces of one image through a classifier.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "vision/masks/mask_classifier.h"

inline std::vector<maskwatch::vision::Classification> classify_faces(
    maskwatch::vision::MaskClassifier& classifier, const maskwatch::vision::ImageView& image,
    const maskwatch::vision::LocatedFaces& found,
    maskwatch::vision::View view = maskwatch::vision::View::as_it_is) {
  const maskwatch::vision::FacesInView look{image, &found, view};
  return std::move(classifier.classify(std::span(&look, 1))[0]);
}
