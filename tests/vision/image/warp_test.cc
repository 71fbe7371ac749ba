#include "vision/image/warp.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tests/vision/image/image_support.h"

using namespace maskwatch;

using namespace image_support;
using vision::Image;

TEST_CASE("the warp follows its map and continues the border") {
  const Image image = pattern(7, 5);
  Image out;
  vision::warp_affine(image, {.xx = 1, .x0 = 2, .y0 = -100}, 9, 3, out);
  REQUIRE(out.width == 9);
  for (int x = 0; x < 9; ++x) CHECK(out.at(x, 2)[1] == image.at(std::min(x + 2, 6), 0)[1]);
  vision::warp_affine(image, {.xx = 1e30, .x0 = -1e30, .yy = -1e30, .y0 = 1e30}, 9, 3, out);
  CHECK(out.at(0, 0)[0] == image.at(0, 4)[0]);
  CHECK_THROWS_AS(vision::warp_affine(image, {.xx = NAN}, 9, 3, out), std::invalid_argument);
}
