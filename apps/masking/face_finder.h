// The faces of a photograph with their landmarks, for make_mask_dataset: a face detector, then a
// finder of 68 points.
#pragma once

#include <string>

#include "apps/masking/mask_dataset.h"
#include "vision/faces/landmark_finder.h"

namespace maskwatch::apps {

// `face` as vision::make_face_detector takes it. A face has landmarks where the finder's answers
// agree; smaller faces than a third of the largest one are left alone. Errors as
// make_face_detector.
FaceFinder detector_and_landmarks(const std::string& face, const vision::LandmarkFinder& landmarks);

}  // namespace maskwatch::apps
