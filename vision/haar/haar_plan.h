// A Haar cascade made ready to run, in two steps: a plan, once for a cascade, says which corners of
// its window each feature reads; a layout, once for a picture, says where those corners lie in
// memory.
//
// Integral images lie in rows of 32-bit sums, `stride` apart. With step 1 column x of a row lies at
// x. With step 2, where only windows at even x are tried, even columns come first and odd columns
// start at `stride / 2`: windows that are neighbours in the search are then neighbours in memory
// for every corner of every feature, and a vector of them needs plain loads, no gathers. Rows of
// tilted sums follow `tilted_offset` after the upright ones.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vision/haar/haar_model.h"

namespace maskwatch::vision {

// How a feature is summed from the corners c of its rectangles. Published features have small whole
// weights, so that rectangles share corners and the sum is exact in integers; three patterns of
// corner weights cover them all.
enum class HaarPattern : std::int32_t {
  kSix,    // (c0 + c1 - c2 - c3) + scale (c4 - c5)
  kEight,  // (c0 + c1 - c2 - c3) + scale (c4 + c5 - c6 - c7)
  kNine,   // scale ((c0 + c1 + c2 + c3) - 2 (c4 + c5 + c6 + c7) + 4 c8)
  kRects,  // any: sum over rectangles r of weight[r] (c[4r] - c[4r+1] - c[4r+2] + c[4r+3]), in
           // floats
};
constexpr int kHaarPatterns = 4;

struct HaarProbe {
  HaarPattern pattern = HaarPattern::kRects;
  std::int32_t scale = 0;
  // In a plan the corner's number (HaarPlan::corner), in a layout its offset from the window's
  // place.
  std::int32_t corner[12] = {};
  float weight[3] = {};
  float threshold = 0;
  std::int32_t left = 0;  // above 0: node of the same tree; else `left_leaf` holds the value
  std::int32_t right = 0;
  float left_leaf = 0;
  float right_leaf = 0;
};

// Trees are sorted by their nodes' patterns, so that a run of them takes the same way through the
// code.
struct HaarStagePlan {
  std::vector<HaarProbe> probes;  // tree after tree
  std::vector<int> tree_sizes;    // in nodes; empty where each tree is one node, …
  std::array<int, kHaarPatterns> pattern_end = {};  // … and then where each pattern's probes end
  std::vector<int> file_order;                      // of each tree: its place in the file
  float threshold = 0;
  // A float sum at or above `surely` passes and one below `perhaps` fails, whatever the rounding;
  // between them only a sum in double decides.
  float surely = 0;
  float perhaps = 0;
};

struct HaarPlan {
  explicit HaarPlan(const HaarModel& model);

  // Corners are numbered row by row, upright before tilted ones.
  std::int32_t corner(int x, int y, bool is_tilted) const {
    return ((is_tilted ? height + 1 : 0) + y) * (width + 1) + x;
  }

  int width = 0;
  int height = 0;
  bool tilted = false;
  int max_tree_nodes = 1;
  std::vector<HaarStagePlan> stages;
  // The window less a border of one pixel, over which brightness is normalised.
  std::int32_t norm_corner[4] = {};
  double norm_area = 0;
  // Windows whose 1/deviation reaches this are too flat to be judged.
  float norm_limit = 0;
};

struct HaarLayout {
  // `stride` is even; `tilted_offset` counts sums.
  HaarLayout(const HaarPlan& plan, int step, int stride, std::int32_t tilted_offset);

  HaarPlan plan;  // with offsets in the place of corners
  int step = 1;
  int stride = 0;
  std::int32_t tilted_offset = 0;
};

// The plain meaning of a probe of a layout: the feature's value at the window whose place is
// `window`, before normalisation.
float haar_feature_value(const HaarProbe& probe, const std::int32_t* window);

// The sum of a layout's stage in double and in the file's order, as OpenCV adds it.
// `inverse_deviation` normalises features.
double haar_stage_sum(const HaarStagePlan& stage, const std::int32_t* window,
                      float inverse_deviation);

}  // namespace maskwatch::vision
