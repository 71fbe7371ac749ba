// Faces cut out of pictures with boxes, into a folder for each class: what train_mask_detector
// trains on, as the detecting programs cut it out. And what a detector takes for faces where there
// are none, for classifiers that shall know it better.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "apps/training/boxes.h"
#include "vision/faces/face_detector.h"

namespace maskwatch::apps {

// Keeps the pictures that `names` (see picture_lists.h) names, or (`keep` = false) all others.
// Throws UsageError, which begins with `origin`, for two pictures of one name, no names, names that
// no picture has and when no picture would be left.
void choose_pictures(BoxDataset& data, const std::set<std::string>& names, bool keep,
                     const std::string& origin);

// The folder of what is no face.
inline constexpr const char* kBackgroundClass = "background";

struct BoxCropOptions {
  std::string output;  // a new or empty folder
  // How much a box grows on each side, as a share of its size; at least 0.
  float margin = vision::kHeadMargin;
  int least_side = 12;    // pixels: faces whose box is narrower or lower are left out
  int size = 224;         // pixels: longer crops shrink to it, their proportions kept
  int jpeg_quality = 95;  // 1 to 100
  // Makes a detector, one for each thread: what it finds apart from the faces is cut out as
  // background, the surest first (see is_background()). None: no background.
  std::function<std::unique_ptr<vision::FaceDetector>()> make_detector = {};
  int most_background = 4;  // of one picture
  // In pictures; called from one thread at a time.
  std::function<void(std::int64_t done)> progress = {};
};

// Whether what a detector found in a picture is none of its faces, nor one that nobody boxed: it
// hardly overlaps any of them, and where there are some, it is no smaller than the smallest (far
// faces are often left out) and the detector is not sure of it.
bool is_background(const vision::Detection& found, const BoxPicture& picture);

using LabelCounts = std::array<std::int64_t, kFaceClasses.size()>;

struct BoxCrops {
  LabelCounts written{};                                // files of each class
  std::int64_t background = 0;                          // files of kBackgroundClass
  std::int64_t ignored = 0, unlabelled = 0, small = 0;  // faces left out
  std::vector<SkippedFile> broken;  // pictures that cannot be decoded, in the order of the data set
};

// Writes the faces to output/CLASS/PICTURE_N.jpg: PICTURE is the picture's name without its
// extension, "_" for "/", with "~2" and so on where two would be called the same; N is the place in
// its list of faces, or of what the detector found, from 0. The bytes depend on the data set and
// the detector alone. Throws std::runtime_error when no face can be used, std::runtime_error for
// what cannot be written, and what `make_detector` throws.
BoxCrops crop_faces(const BoxDataset& data, const BoxCropOptions& options);

}  // namespace maskwatch::apps
