#include "vision/image/grey.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/vision/image/image_support.h"

using namespace maskwatch;

using namespace image_support;
using vision::Image;

// cv2.cvtColor(np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [13, 200, 77]]]),
// cv2.COLOR_RGB2GRAY)
TEST_CASE("grey is OpenCV's grey") {
  Image image(4, 1);
  image.pixels = {255, 0, 0, 0, 255, 0, 0, 0, 255, 13, 200, 77};
  CHECK(values(vision::to_grey(image)) == std::vector<int>{76, 150, 29, 130});
}

TEST_CASE("grey of whole vectors and of the rest is the same, and nothing else is written") {
  const Image image = pattern(70, 1);
  for (std::size_t count = 0; count <= 70; ++count) {
    CAPTURE(count);
    std::vector<std::uint8_t> grey(71, 7);
    vision::rgb_to_grey(image.pixels.data(), count, grey.data());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t* p = &image.pixels[3 * i];
      REQUIRE(grey[i] == (p[0] * 9798 + p[1] * 19235 + p[2] * 3735 + (1 << 14)) >> 15);
    }
    REQUIRE(grey[count] == 7);
  }
}
