// A training set from photographs of bare faces: masks are laid over some of them.
//   OUTPUT/with_mask/000012.jpg, OUTPUT/without_mask/000007.jpg, OUTPUT/mask_worn_wrongly/..., and
//   OUTPUT/manifest.json, which says what came from where.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/common/dataset.h"
#include "vision/drawn/mask_overlay.h"

namespace maskwatch::apps {

struct FoundFaces {
  std::vector<std::array<vision::Point, 68>> faces;  // landmarks, the largest face first
  int without_landmarks = 0;                         // faces whose landmarks were not found
};

// Looks for the faces of a photograph that was read from `path` and scaled by `scale`. Called from
// several threads at once. What it throws of the world counts as a fault of that photograph.
using FaceFinder =
    std::function<FoundFaces(const vision::Image& photo, const std::string& path, float scale)>;

// Landmarks from a text file beside each picture (NAME.txt, 68 lines "x y" a face, in pixels), as
// draw_faces writes them; a picture without such a file has no face. std::runtime_error names a
// file that holds anything else.
FoundFaces landmarks_beside(const std::string& path, float scale);

struct MaskDatasetOptions {
  std::string output;
  bool original_style = false;
  double masked = .5;  // share of the photographs that get a mask
  double wrongly = 0;  // share of the photographs that get one worn wrongly
  int count = 0;       // photographs used at most; 0: all
  int per_face = 1;    // different masks for each masked photograph
  int views = 1;       // pictures of each photograph (and mask): as it is, and other looks at it
  int size = 512;      // longest side of the pictures written
  std::uint64_t seed = 42;
  std::string preview;  // contact sheet to write, or empty
  std::function<void(std::int64_t done, std::int64_t total)> progress;  // from one thread at a time
};

// The reason of photographs that were not needed.
inline constexpr const char* kNotNeeded = "more than --count";

struct LeftOut {
  std::string path;
  std::string reason;
};

struct MaskDatasetResult {
  std::int64_t with_mask = 0, without_mask = 0, worn_wrongly = 0;  // pictures written
  std::int64_t copies = 0;  // photographs that are copies of one used
  std::int64_t faces_without_landmarks = 0;
  std::vector<LeftOut> incomplete;  // used, though some of their faces have no landmarks
  std::vector<LeftOut> left_out;    // unreadable, or without a face, in order of path
};

// Each photograph goes to one class; of exact copies the first is used and the others are named
// beside it. What is written depends on the photographs, their names, the finder and the options
// alone. Every picture, masked or not, is decoded, scaled and written in the same way. Throws
// UsageError: the output exists and holds something, no photograph has a face; and
// std::runtime_error for what cannot be written.
MaskDatasetResult make_mask_dataset(const Dataset& photographs, const FaceFinder& finder,
                                    const MaskDatasetOptions& options);

}  // namespace maskwatch::apps
