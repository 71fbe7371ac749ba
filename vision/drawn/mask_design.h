// What a mask looks like and how it is worn, and masks as people wear them.
#pragma once

#include <cstdint>
#include <string>

#include "vision/drawn/face_generator.h"
#include "vision/image/draw.h"

namespace maskwatch::vision {

// surgical: a pleated rectangle with loops; cup: a stiff N95 with headbands; fold: a KN95, folded
// in the middle; cloth: sewn to fit; bandana: tied behind, with a hanging tip; gaiter: a tube from
// the nose down the neck.
enum class MaskCut { surgical, cup, fold, cloth, bandana, gaiter };
enum class MaskPrint { plain, stripes, checks, dots, flowers, blots, paisley, logo, panels };

std::string name_of(MaskCut cut);
std::string name_of(MaskPrint print);
std::string name_of(MaskWear wear);

struct MaskDesign {
  MaskCut cut = MaskCut::surgical;
  MaskPrint print = MaskPrint::plain;
  MaskWear wear = MaskWear::proper;
  Color color{158, 198, 228}, second_color{255, 255, 255};
  std::uint64_t seed = 0;  // of folds, texture and noise
  float lift = 0;          // of the upper edge, -3 at the tip of the nose .. 1.4 between the eyes
  float looseness = 0;     // 0 taut .. 1
  float tilt = 0;          // -1 .. 1: one side higher
  float breadth = 0;       // -1 narrow .. 1 to the ears
  float print_size = 1;
  float exposure = 1;  // factor on the light
  int pleats = 3;
  bool valve = false;
  bool loops = true;           // ear loops or bands can be seen
  bool contrast_edge = false;  // hem and loops in the second colour
};

// A mask as people wear them, from `seed` alone.
MaskDesign random_mask(std::uint64_t seed, MaskWear wear = MaskWear::proper);

}  // namespace maskwatch::vision
