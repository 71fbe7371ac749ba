// The faces of a photograph with their landmarks, for make_mask_dataset: found by a face detector
// and a finder of 68 points, or read from a file.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "vision/faces/landmark_finder.h"

namespace maskwatch::apps {

struct FoundFaces {
  std::vector<std::array<vision::Point, 68>> faces;  // landmarks, the largest face first
  int without_landmarks = 0;                         // faces whose landmarks were not found
};

// Looks for the faces of a photograph that was read from `path` and scaled by `scale`. Called from
// several threads at once. What it throws of the world counts as a fault of that photograph.
using FaceFinder =
    std::function<FoundFaces(const vision::Image& photo, const std::string& path, float scale)>;

// `face` as vision::make_face_detector takes it. A face has landmarks where the finder's answers
// agree; smaller faces than a third of the largest one are left alone. Errors as
// make_face_detector.
FaceFinder make_face_finder(const std::string& face, const vision::LandmarkFinder& landmarks);

// Landmarks from a text file beside each picture (NAME.txt, 68 lines "x y" a face, in pixels), as
// draw_faces writes them; a picture without such a file has no face. std::runtime_error names a
// file that holds anything else.
FoundFaces landmarks_beside(const std::string& path, float scale);

}  // namespace maskwatch::apps
