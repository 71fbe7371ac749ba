// A training set from photographs of bare faces: masks are laid over some of them.
//   OUTPUT/with_mask/000012.jpg, OUTPUT/without_mask/000007.jpg, OUTPUT/mask_worn_wrongly/..., and
//   OUTPUT/manifest.json, which says what came from where.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "apps/common/dataset.h"
#include "apps/masking/face_finder.h"

namespace maskwatch::apps {

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
inline constexpr const char* kNotNeeded = "not needed";

// No photograph shows a face with landmarks.
struct NoFaces : std::runtime_error {
  using std::runtime_error::runtime_error;
};

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
// NoFaces, and std::runtime_error where the output exists and holds something or cannot be written.
MaskDatasetResult make_mask_dataset(const Dataset& photographs, const FaceFinder& finder,
                                    const MaskDatasetOptions& options);

}  // namespace maskwatch::apps
