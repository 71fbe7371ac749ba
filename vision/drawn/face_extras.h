// Things on and before faces that are not masks, drawn onto photographs by their 68 landmarks:
// glasses, hats and hoods, lipstick, beards, scarves, and hands, cups and microphones before the
// mouth. A training set that shows them with and without masks keeps a model from taking whatever
// hides a mouth for a mask.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "vision/image/draw.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

enum class FaceExtra {
  none,
  sunglasses,
  spectacles,
  hat,
  lipstick,
  beard,
  scarf,
  hand,
  cup,
  microphone
};

std::string name_of(FaceExtra extra);

// One of them, from `seed` alone.
FaceExtra random_extra(std::uint64_t seed);

// Whether a mask hides it (lipstick, beard), so that it is to be drawn before the mask.
bool lies_under_mask(FaceExtra extra);

// Draws it, its colour, size and place drawn from `seed`, as bright as the face. Throws
// std::invalid_argument for a picture that is empty or not RGB and for points that are not finite
// or beyond 2^20; a face of less than a pixel is left alone.
void draw_extra(Image& photo, std::span<const Point, 68> landmarks, FaceExtra extra,
                std::uint64_t seed);

}  // namespace maskwatch::vision
