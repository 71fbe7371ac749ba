// How well a face detector did, as figures, text, JSON and a plot.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/training/average_precision.h"
#include "base/json.h"

namespace maskwatch::apps {

// The least threshold that gives no more than `false_faces` false boxes a picture.
struct OperatingPoint {
  double false_faces = 0;
  double threshold = 0;  // infinite: even the surest box is one too many
  double recall = 0;     // NaN where there is nothing to find
};

// Faces whose shorter side is at least so long, at the threshold in use.
struct FaceShare {
  double least_side = 0;
  std::int64_t faces = 0;
  double found = 0;           // share of the faces; NaN where there are none
  double right = 0;           // found and labelled right, of the faces with a class
  double right_of_found = 0;  // labelled right, of those found that have a class
};

struct OverlapFigures {
  double overlap = 0;                       // least intersection over union of a match
  double average_precision = 0;             // of faces of any class
  std::vector<OperatingPoint> points;       // false boxes counted in all pictures
  std::vector<OperatingPoint> backgrounds;  // in pictures without a face; empty: there are none
  std::vector<FaceShare> shares;            // of all faces, and from some sizes on
};

struct DetectionFigures {
  std::int64_t pictures = 0, backgrounds = 0, faces = 0, found = 0;
  double threshold = 0;             // the one that `shares` and `false_on_backgrounds` are for
  double false_on_backgrounds = 0;  // boxes a picture without a face; NaN: there are none
  AveragePrecision any;             // of faces of any class
  std::array<AveragePrecision, kCocoAreas.size()> by_size;
  std::array<AveragePrecision, kFaceClasses.size()> by_class;
  std::array<OverlapFigures, 2> at;  // overlaps of 0.4 and 0.5
};

DetectionFigures detection_figures(std::span<const JudgedPicture> pictures, double threshold);

// Several lines, each with its end.
std::string detection_text(const DetectionFigures& figures);
Json detection_json(const DetectionFigures& figures);

// Curves of precision over recall at an overlap of 0.5: of all faces, and of each class and size
// that occurs.
vision::Image plot_precision(std::span<const JudgedPicture> pictures);

}  // namespace maskwatch::apps
