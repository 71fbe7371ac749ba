// The faces of a photograph with their landmarks, for make_mask_dataset: a face detector, then the
// 68-point predictor.
#pragma once

#include <string>

#include "apps/mask_dataset.h"
#include "vision/landmarks.h"

namespace apps {

// The box that dlib's predictor was trained on, from the points of a face: they settle within two
// rounds, whatever the first box. (Median of dlib's own detections on bare faces.)
vision::Box settled_box(const std::array<vision::Point, 68>& points);

// `face` as vision::make_face_detector takes it; `landmark_file` is dlib's, or one like it. A face
// has landmarks where the predictor's answers agree; smaller faces than a third of the largest one
// are left alone. Errors as make_face_detector and LandmarkPredictor::load.
FaceFinder detector_and_landmarks(const std::string& face, const std::string& landmark_file);

}  // namespace apps
