#include "vision/image/text.h"

#include <doctest/doctest.h>

#include "tests/vision/image/image_support.h"

using namespace maskwatch;

using namespace image_support;
using vision::Box;
using vision::Image;

namespace {

constexpr vision::Color white{255, 255, 255};

}  // namespace

TEST_CASE("text fills the size that it announces, in both typefaces") {
  for (const vision::Typeface* face : {&vision::system_typeface(), &vision::builtin_typeface()}) {
    for (float height : {12.f, 40.f}) {
      const vision::TextSize size = face->size("Mask: 99.12%", height);
      Image image(static_cast<int>(size.width) + 60, static_cast<int>(height) + 60);
      face->draw(image, {30, 30}, "Mask: 99.12%", height, white, 1);
      const Box painted = painted_box(image);
      CHECK(painted.width > .9 * size.width - 4);
      CHECK(painted.x >= 28);
      CHECK(painted.x + painted.width <= 30 + size.width + 2);
      CHECK(painted.y >= 30);
      CHECK(painted.y + painted.height <= 31 + height);
      CHECK(painted.height > height / 2);
    }
    CHECK(face->size("", 12).width == 0);
    Image image(50, 20);
    face->draw(image, {0, 0}, "\xff\xc3\xe2\x82 \xf0\x9f\x98\x80", 12, white, 1);  // broken UTF-8
  }
}
