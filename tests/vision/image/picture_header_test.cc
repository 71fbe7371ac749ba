#include "vision/image/picture_header.h"

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <vector>

#include "tests/vision/image/small_pictures.h"
#include "tests/vision/support.h"
#include "vision/image/image.h"

using namespace maskwatch;

using namespace vision_test;
namespace small = small_pictures;

TEST_CASE("a picture cut at any offset is an error that names it") {
  for (const char* digits : {small::grey16_png, small::palette_png, small::jpeg_orientation_6,
                             small::progressive_jpeg}) {
    const std::vector<std::uint8_t> whole = small::bytes(digits);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::span<const std::uint8_t> part(whole.data(), size);
      const std::string error = error_of([&] { vision::decode_image(part, "cut.jpg"); });
      CAPTURE(size);
      REQUIRE(says(error, "cut.jpg: "));
    }
  }
}

TEST_CASE("a check sum guards every PNG chunk") {
  std::vector<std::uint8_t> png = small::bytes(small::rgba_png);
  png[45] ^= 1;
  CHECK(says(error_of([&] { vision::decode_image(png, "p"); }), "check sum"));
}

TEST_CASE("a size that the file cannot hold is refused before memory is taken") {
  std::vector<std::uint8_t> jpeg = small::bytes(small::jpeg_orientation_1);
  for (std::size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0) jpeg[i + 5] = jpeg[i + 7] = 0x1F;
  CHECK(says(error_of([&] { vision::decode_image(jpeg, "p"); }), "cannot hold 7952x"));
  CHECK(
      says(error_of([] { vision::decode_image(small::bmp(1 << 14, 1 << 14, 24), "p"); }), "limit"));
  CHECK(
      says(error_of([] { vision::decode_image(small::bmp(1000, -1000, 24), "p"); }), "truncated"));
  CHECK(says(error_of([] { vision::decode_image(small::bmp(0, 5, 24), "p"); }), "makes no sense"));
}

TEST_CASE("files of another kind are named for what they are") {
  const auto error = [](const std::string& text) {
    return error_of([&] {
      vision::decode_image({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, "x");
    });
  };
  CHECK(says(error(""), "x: an empty file"));
  CHECK(says(error("GIF89a......"), "a GIF"));
  CHECK(says(error("hello world"), "not a picture"));
  CHECK(says(error_of([] { vision::load_image("/nowhere/at.jpg"); }), "/nowhere/at.jpg: cannot"));
  CHECK(says(error_of([] { vision::load_image("/"); }), "regular"));
}
