// Other looks at one photograph, so that a training set holds more kinds of pictures than its
// photographs are: faces cut out closely or loosely, far away, in poor light, from a poor camera.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vision/image/draw.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

struct PictureView {
  vision::Box box;        // of the photograph's pixels; may reach beyond it
  int longest = 0;        // side in pixels of what is shown; 0: as large as the box
  float gamma = 1;        // above 1 darker
  float warmth = 0;       // -1 bluish .. 1 yellowish
  float saturation = 1;   // 0 grey
  float blur = 0;         // standard deviation in pixels of what is shown
  float noise = 0;        // grey levels
  int jpeg_quality = 0;   // 0: not packed
  std::uint64_t key = 0;  // of the noise
};

// A look at a photograph of this size with faces whose landmarks are given, from `seed` alone.
// Nothing in it depends on masks, so that it tells nothing about them.
PictureView random_view(std::uint64_t seed, const vision::ImageSize& photograph,
                        const std::vector<std::array<vision::Point, 68>>& faces);

// What the view shows of an RGB photograph, which is mirrored beyond its edges. Throws
// std::invalid_argument for an empty or grey photograph and a box of more than 2^13 pixels a side.
vision::Image show(const vision::Image& photograph, const PictureView& view);

}  // namespace maskwatch::apps
