#include "vision/image.h"

#include <doctest/doctest.h>

TEST_CASE("an image addresses its pixels row by row") {
  vision::Image image(4, 3);
  *image.at(1, 2) = 7;
  CHECK(image.pixels[(2 * 4 + 1) * 3] == 7);
}
