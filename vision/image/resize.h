// Pictures to another size, smoothly: every pixel of the input counts. For what people look at and
// for the mask classifier; published face detectors expect vision/image/resize_bilinear.h.
#pragma once

#include <cstdint>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::vision {

// Bilinear (triangle filter); when it shrinks, the filter widens with the scale as in Pillow's
// BILINEAR, to within one grey level. The second form reuses `out`'s memory. Throws
// std::invalid_argument for an empty picture, a width or height below 1, and an `out` that is
// `image`.
Image resize(const ImageView& image, int width, int height);
void resize(const ImageView& image, int width, int height, Image& out);

// The part of the picture inside `box` scaled to width x height, without a copy between. Errors as
// crop and resize.
Image crop_and_resize(const ImageView& image, const Box& box, int width, int height);

// The filter along one axis.
struct ResizeAxis {
  int taps = 0;                       // of every output position; those not needed have weight 0
  std::vector<int> first;             // [output size]: the first input position
  std::vector<std::int16_t> weights;  // [output size][taps], Q15
};

ResizeAxis make_resize_axis(int in_size, int out_size);

}  // namespace maskwatch::vision
