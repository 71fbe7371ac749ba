// Augmented views of one photograph, so that a training set holds more kinds of images than its
// photographs: faces cut out closely or loosely, far away, in poor light, from a poor camera.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vision/image/draw.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

struct AugmentedView {
  vision::Box box;        // of the photograph's pixels; may reach beyond it
  int longest = 0;        // side in pixels of what is shown; 0: as large as the box
  float gamma = 1;        // above 1 darker
  float warmth = 0;       // -1 bluish .. 1 yellowish
  float saturation = 1;   // 0 grey
  float blur = 0;         // standard deviation in pixels of what is shown
  float noise = 0;        // grey levels
  int jpeg_quality = 0;   // 0: not compressed
  std::uint64_t key = 0;  // of the noise
};

// A view of a photograph of this size with faces whose landmarks are given, from `seed` alone.
// Nothing in it depends on masks, so that it tells nothing about them.
AugmentedView random_view(std::uint64_t seed, const vision::ImageSize& photograph,
                          const std::vector<std::array<vision::Point, 68>>& faces);

// The view of an RGB photograph, which is mirrored beyond its edges. Throws std::invalid_argument
// for an empty or grey photograph and a box of more than 2^13 pixels a side.
vision::Image render_view(const vision::Image& photograph, const AugmentedView& view);

}  // namespace maskwatch::apps
