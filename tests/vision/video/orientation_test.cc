#include "vision/video/orientation.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <stdexcept>

#include "tests/vision/video/video_support.h"

using namespace maskwatch;

using vision::Image;
using vision::Orientation;

namespace {

Image shown(const Image& decoded, const Orientation& orientation) {
  Image out;
  vision::turn(decoded.row(0), 3 * static_cast<std::size_t>(decoded.width), decoded.width,
               decoded.height, orientation, out);
  return out;
}

}  // namespace

TEST_CASE("orientation: pictures turn clockwise, and then as in a mirror") {
  const Image decoded = video_support::drawn(3, 7, 4);
  for (const int degrees : {0, 90, 180, 270})
    for (const bool flip : {false, true}) {
      CAPTURE(degrees);
      CAPTURE(flip);
      const Image out = shown(decoded, vision::turned(degrees, flip));
      REQUIRE(out.width == (degrees % 180 == 0 ? 7 : 4));
      REQUIRE(out.height == (degrees % 180 == 0 ? 4 : 7));
      for (int y = 0; y < 4; ++y)
        for (int x = 0; x < 7; ++x) {
          int to_x = degrees == 0 ? x : degrees == 90 ? 3 - y : degrees == 180 ? 6 - x : y;
          const int to_y = degrees == 0 ? y : degrees == 90 ? x : degrees == 180 ? 3 - y : 6 - x;
          if (flip) to_x = out.width - 1 - to_x;
          for (int c = 0; c < 3; ++c) CHECK(out.at(to_x, to_y)[c] == decoded.at(x, y)[c]);
        }
    }
  CHECK_THROWS_WITH_AS(vision::turned(45, false), doctest::Contains("45"), std::invalid_argument);
}

TEST_CASE("orientation: one after the other is both together") {
  const Image decoded = video_support::drawn(1, 5, 3);
  for (const int first : {0, 90, 180, 270})
    for (const int second : {0, 90, 180, 270})
      for (const int flips : {0, 1, 2, 3}) {
        const Orientation a = vision::turned(first, flips & 1);
        const Orientation b = vision::turned(second, flips & 2);
        CHECK(shown(decoded, vision::then(a, b)).pixels == shown(shown(decoded, a), b).pixels);
      }
}
