// The affine warp beneath augment(): bilinear, border pixels continued.
#pragma once

#include "vision/image/image.h"

namespace maskwatch::vision {

// Where output pixel (x, y) comes from: (xx * x + xy * y + x0, yx * x + yy * y + y0).
struct Affine {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
};

// `out` gets width x height pixels. Throws std::invalid_argument unless `in` is an RGB picture that
// is not `out`, width and height are at least 1, and the map is finite.
void warp_affine(const Image& in, const Affine& map, int width, int height, Image& out);

}  // namespace maskwatch::vision
