// A Haar cascade laid out for one arrangement of integral images in memory.
//
// Rows of 32-bit sums lie `stride` apart. With step 1 column x of a row lies at x. With step 2,
// where only windows at even x are tried, even columns come first and odd columns start at `stride
// / 2`: windows that are neighbours in the search are then neighbours in memory for every corner of
// every feature, and a vector of them needs plain loads, no gathers. Rows of tilted sums follow
// `tilted_offset` after the upright ones.
#pragma once

#include <cstdint>
#include <vector>

#include "vision/haar_model.h"

namespace vision {

// How a feature is summed from the corners of its rectangles. Published features have small whole
// weights, so that rectangles share corners and the sum is exact in integers; three patterns of
// corner weights cover them all. `o` are the probe's offsets from the window's own place.
enum class HaarPattern : std::int32_t {
  kSix,    // (o0 + o1 - o2 - o3) + scale (o4 - o5)
  kEight,  // (o0 + o1 - o2 - o3) + scale (o4 + o5 - o6 - o7)
  kNine,   // scale ((o0 + o1 + o2 + o3) - 2 (o4 + o5 + o6 + o7) + 4 o8)
  kRects,  // any: sum over rectangles r of weight[r] (o[4r] - o[4r+1] - o[4r+2] + o[4r+3]), in
           // floats
};

struct HaarProbe {
  HaarPattern pattern = HaarPattern::kRects;
  std::int32_t scale = 0;
  std::int32_t offset[12] = {};
  float weight[3] = {};
  float threshold = 0;
  std::int32_t left = 0;  // above 0: node of the same tree; else `left_leaf` holds the value
  std::int32_t right = 0;
  float left_leaf = 0;
  float right_leaf = 0;
};

struct HaarStageLayout {
  std::vector<HaarProbe> probes;  // tree after tree
  std::vector<int> tree_sizes;    // in nodes; empty where each tree is one node
  float threshold = 0;
  // A float sum at or above `surely` passes and one below `perhaps` fails, whatever the rounding;
  // between them only a sum in double decides.
  float surely = 0;
  float perhaps = 0;
};

struct HaarLayout {
  int step = 1;
  int stride = 0;
  std::int32_t tilted_offset = 0;
  int max_tree_nodes = 1;
  std::vector<HaarStageLayout> stages;
  // The window less a border of one pixel, over which brightness is normalised.
  std::int32_t norm_offset[4] = {};
  double norm_area = 0;
  // Windows whose 1/deviation reaches this are too flat to be judged.
  float norm_limit = 0;
};

// `stride` is even; `tilted_offset` counts sums.
HaarLayout lay_out(const HaarModel& model, int step, int stride, std::int32_t tilted_offset);

// The plain meaning of a probe: the feature's value at the window whose own place is `window`,
// before normalisation.
float haar_feature_value(const HaarProbe& probe, const std::int32_t* window);

// The sum of a stage in double, as OpenCV adds it. `inverse_deviation` normalises features.
double haar_stage_sum(const HaarStageLayout& stage, const std::int32_t* window,
                      float inverse_deviation);

}  // namespace vision
