// The filter of resize() along one axis; the function itself is declared in vision/image/image.h.
#pragma once

#include <cstdint>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::vision {

struct ResizeAxis {
  int taps = 0;                       // of every output position; those not needed have weight 0
  std::vector<int> first;             // [output size]: the first input position
  std::vector<std::int16_t> weights;  // [output size][taps], Q15
};

ResizeAxis make_resize_axis(int in_size, int out_size);

}  // namespace maskwatch::vision
