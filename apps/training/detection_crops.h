// Training crops of a face detector: square pieces of pictures in random sizes and places, half of
// them mosaics of four, in random light.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "apps/training/boxes.h"
#include "apps/training/detection_pictures.h"
#include "base/random.h"

namespace maskwatch::apps {

struct CropOptions {
  int size = 256;       // side in pixels
  double mosaic = 0.5;  // share of crops that are made of four pictures
  std::uint64_t seed = 42;
};

struct DetectionCrop {
  vision::Image image;  // RGB, size x size
  // In the crop's pixels, cut off at its edges. Faces of which little is left and faces under
  // kLeastFace pixels are ignored.
  std::vector<FaceBox> faces;
};

inline constexpr float kLeastFace = 5;
// A face that the crop's edge cut counts if this share of it is left; below the other share it is
// gone, and between them it is ignored.
inline constexpr double kFaceLeft = 0.5, kTraceLeft = 0.1;

// Crop `index` of `step` from the pictures `chosen`: it depends on the arguments alone, on any
// thread. Throws std::invalid_argument for a size below 32 and if no picture is chosen.
DetectionCrop make_crop(const DetectionPictures& pictures, std::span<const int> chosen,
                        const CropOptions& options, std::uint64_t step, std::uint64_t index);

// A contact sheet of the crops, `columns` a row, with boxes in the colours of their classes;
// ignored ones grey. Throws std::invalid_argument if there are none.
vision::Image crop_sheet(std::span<const DetectionCrop> crops, int columns);

}  // namespace maskwatch::apps
