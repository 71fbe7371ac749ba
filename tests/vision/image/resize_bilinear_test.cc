#include "vision/image/resize_bilinear.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <iterator>
#include <stdexcept>

using namespace maskwatch;

// Printed by opencv-python-headless 5.0.0:
//   a = numpy.arange(35, dtype=numpy.uint8).reshape(5, 7) * 7; cv2.resize(a, (4, 3))
TEST_CASE("bilinear resizing reads the four neighbours, as OpenCV") {
  vision::Image image(7, 5, 1);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(7 * i);
  const int expected[] = {19, 31, 43, 55, 101, 113, 125, 137, 182, 194, 207, 219};
  const vision::Image small = vision::resize_bilinear(image, 4, 3);
  REQUIRE(small.pixels.size() == std::size(expected));
  for (std::size_t i = 0; i < small.pixels.size(); ++i)
    CHECK(std::abs(small.pixels[i] - expected[i]) <= 1);
  CHECK_THROWS_AS(vision::resize_bilinear(vision::Image(), 4, 3), std::invalid_argument);
  CHECK_THROWS_AS(vision::resize_bilinear(image, 0, 3), std::invalid_argument);
}
