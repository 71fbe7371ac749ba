// What a classifier that knows a class of background says of a detector's faces: whether they are
// faces at all. It sees each of them larger than the detector did, and nothing else.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "vision/faces/face_detector.h"
#include "vision/masks/labels.h"
#include "vision/masks/mask_classifier.h"

namespace maskwatch::vision {

struct VerifiedFace {
  std::size_t index = 0;          // into LocatedFaces::faces
  float score = 0;                // of detector and classifier together
  Classification classification;  // of the labels that are no background
};

// The least score of a detector that knows classes with which a face can reach `confidence` in
// verify_faces().
float candidate_score(float confidence);

// Of the faces `found`, those whose score of both networks is close to 1/2, by the classifier's
// answers for them, but for those that show the same face as one that is no more in doubt. None
// where verify_faces() leaves the detector's scores as they are. std::invalid_argument as there.
std::vector<std::size_t> doubtful_faces(std::span<const Classification> classes,
                                        std::span<const LabelMeaning> meanings,
                                        const LocatedFaces& found);

// `classes`: the answer for each of the faces `found`, of labels with these meanings. Without a
// label of background all faces are left as they are. With one:
// - where the detector knows classes, its scores are probabilities, and a face's score becomes that
//   of both: the sum of the log odds of the detector and, weighted, of the classifier. Faces below
//   `confidence` are left out, and the others ordered by their scores, surest first; of those that
//   overlap much, the surest stays;
// - other detectors' scores stay as they are, and what is likelier background is left out;
// - where a face is assumed, it stays.
// In what is left, the background's probability is taken off and the others sum up to 1.
// std::invalid_argument where all labels are background, and unless there is an answer for each
// face, by as many probabilities as labels.
std::vector<VerifiedFace> verify_faces(std::vector<Classification> classes,
                                       std::span<const LabelMeaning> meanings,
                                       const LocatedFaces& found, float confidence);

}  // namespace maskwatch::vision
