// The split of pictures with boxes into training and validation, by photograph: what looks alike
// stands on one side. Pictures without boxes are never for validation.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/training/detection_pictures.h"

namespace maskwatch::apps {

struct DetectionSplitOptions {
  double validation = 0.15;  // share of each source's pictures, about
  std::uint64_t seed = 42;
  // All pictures of sources whose name holds one of these are for validation; of the others only a
  // share of those sources that have no face at all (backgrounds).
  std::vector<std::string> leave_out;
};

// Indices into DetectionPictures, ascending.
struct DetectionSplit {
  std::vector<int> train, validation;
  // In neither part: they look like a picture of a source that is left out, or have no boxes and
  // look like one for validation.
  std::vector<int> unused;
  std::int64_t look_alikes = 0;  // pictures that look like another that comes before them
};

// Equal numbers for pictures that look alike, also mirrored, or through others that do; the number
// is the index of the first of them.
std::vector<int> photograph_groups(std::span<const PictureHash> hashes,
                                   std::span<const PictureHash> mirrored);

// The same for the same seed and pictures. Throws std::invalid_argument unless 0 < validation < 1,
// and std::runtime_error for a source that none has and when a part would be empty or without a
// face.
DetectionSplit split_detection(const DetectionPictures& pictures,
                               const DetectionSplitOptions& options = {});

}  // namespace maskwatch::apps
