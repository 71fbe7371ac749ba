// Faces cut out of pictures with boxes, into a folder for each class: what train_mask_detector
// trains on, as the detecting programs cut it out.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "apps/training/boxes.h"
#include "vision/faces/face_detector.h"

namespace maskwatch::apps {

// Keeps the pictures that `names` names, or (`keep` = false) all others. Throws UsageError, which
// begins with `origin`, for names that no picture has and when no picture would be left.
void choose_pictures(BoxDataset& data, const std::set<std::string>& names, bool keep,
                     const std::string& origin);

struct BoxCropOptions {
  std::string output;  // a new or empty folder
  // How much a box grows on each side, as a share of its size; at least 0.
  float margin = vision::kHeadMargin;
  int least_side = 12;    // pixels: faces whose box is narrower or lower are left out
  int size = 224;         // pixels: longer crops shrink to it, their proportions kept
  int jpeg_quality = 95;  // 1 to 100
  // In pictures; called from one thread at a time.
  std::function<void(std::int64_t done)> progress = {};
};

using LabelCounts = std::array<std::int64_t, kFaceClasses.size()>;

struct BoxCrops {
  LabelCounts written{};                                // files of each class
  std::int64_t ignored = 0, unlabelled = 0, small = 0;  // faces left out
  std::vector<SkippedFile> broken;  // pictures that cannot be decoded, in the order of the data set
};

// Writes the faces to output/CLASS/PICTURE_N.jpg: PICTURE is the picture's name without its
// extension, "_" for "/", with "~2" and so on where two would be called the same; N is the place in
// its list of faces, from 0. The bytes depend on the data set alone. Throws UsageError when no face
// can be used, and std::runtime_error for what cannot be written.
BoxCrops crop_faces(const BoxDataset& data, const BoxCropOptions& options);

}  // namespace maskwatch::apps
