// A second look at the faces of which detector and classifier together are in doubt: each is cut
// out of the picture again, closer and from farther away, and the answers are averaged, as is usual
// for pictures seen through several crops (Krizhevsky et al. 2012, "ImageNet classification with
// deep convolutional neural networks").
#pragma once

#include <span>
#include <vector>

#include "vision/masks/mask_classifier.h"
#include "vision/masks/view.h"

namespace maskwatch::vision {

// `classes`: what the classifier says of the faces in each of `looks`. Those of doubtful_faces()
// (vision/masks/face_verification.h) become the normalised geometric mean of three answers; the
// others stay. One list for each look, with an answer for each of its faces; std::invalid_argument
// as doubtful_faces() and MaskClassifier::classify().
void look_again(MaskClassifier& classifier, std::span<const FacesInView> looks,
                std::vector<std::vector<Classification>>& classes);

}  // namespace maskwatch::vision
