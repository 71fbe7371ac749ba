// What a classifier and a face detector that knows classes say of the same faces, made one answer:
// they saw different pictures of them, scaled and cut out otherwise, and err in different ways.
#pragma once

#include <span>
#include <vector>

#include "vision/faces/face_detector.h"
#include "vision/masks/labels.h"
#include "vision/masks/mask_classifier.h"

namespace maskwatch::vision {

// How much the detector counts beside the classifier: 0 not at all, 0.5 as much as it, 1 alone.
inline constexpr float kDetectorWeight = 0.5f;

// `classes`: the classifier's answer for each of the faces `found`; `meanings`: those of its
// labels. The two are joined by what their labels mean: the probability of a meaning that both know
// becomes the weighted geometric mean of theirs, the mean of the log odds where there are two. What
// the detector does not know stays as the classifier says, and so does everything where fewer than
// two meanings are known to both. A mask worn wrongly is a mask for a classifier that has no such
// class. std::invalid_argument unless there is one answer for each face, by as many probabilities
// as labels, on both sides.
std::vector<Classification> fuse_labels(std::vector<Classification> classes,
                                        std::span<const LabelMeaning> meanings,
                                        const LocatedFaces& found,
                                        float detector_weight = kDetectorWeight);

}  // namespace maskwatch::vision
