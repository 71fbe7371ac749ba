#include "vision/image/picture_header.h"

#include <doctest/doctest.h>

#include <cstdlib>

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
  CHECK(says(error_of([] { vision::decode_image(small::bmp(1 << 14, 1 << 14, 24), "p"); }),
             "limit of 256 million"));
  CHECK(
      says(error_of([] { vision::decode_image(small::bmp(1000, -1000, 24), "p"); }), "truncated"));
  CHECK(says(error_of([] { vision::decode_image(small::bmp(0, 5, 24), "p"); }), "makes no sense"));
}

TEST_CASE("a JPEG of more scans than any encoder writes is refused, sooner in a large picture") {
  std::vector<std::uint8_t> jpeg = small::bytes(small::progressive_jpeg);
  std::size_t scan = 0, size = 0;
  for (std::size_t i = 0; i + 8 < jpeg.size(); ++i) {
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC2) size = i + 5;
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xDA) scan = i;
  }
  REQUIRE(scan > size);
  // The last scan again and again.
  const std::vector<std::uint8_t> last(jpeg.begin() + static_cast<std::ptrdiff_t>(scan),
                                       jpeg.end() - 2);
  const auto with_scans = [&](int count) {
    std::vector<std::uint8_t> many = jpeg;
    for (int i = 0; i < count; ++i) many.insert(many.end() - 2, last.begin(), last.end());
    return many;
  };
  CHECK(error_of([&] { vision::inspect_picture(with_scans(80)); }) == "");
  CHECK(says(error_of([&] { vision::inspect_picture(with_scans(100)); }), "scans"));
  // 16384 x 15000 pixels.
  jpeg[size] = 0x3A, jpeg[size + 1] = 0x98, jpeg[size + 2] = 0x40, jpeg[size + 3] = 0;
  CHECK(says(error_of([&] { vision::inspect_picture(with_scans(20)); }), "scans"));
  CHECK(says(error_of([&] { vision::inspect_picture(with_scans(1)); }), "cannot hold"));
}

TEST_CASE("photographs of 108 million pixels may be read; a variable sets the most") {
  constexpr const char* kVariable = "MASKWATCH_MAX_MEGAPIXELS";
  const auto fault = [] {
    return error_of([] { vision::decode_image(small::bmp(12000, 9000, 24), "p"); });
  };
  REQUIRE(std::getenv(kVariable) == nullptr);
  CHECK(vision::max_picture_pixels() == 256'000'000);
  CHECK(says(fault(), "truncated"));
  setenv(kVariable, "100", 1);
  CHECK(vision::max_picture_pixels() == 100'000'000);
  CHECK(says(fault(), "its size 12000x9000 is over the limit of 100 million pixels"));
  for (const char* wrong : {"0", "701", "many", "12x", "-5"}) {
    setenv(kVariable, wrong, 1);
    CHECK(says(fault(), "not a whole number from 1 to 700"));
  }
  unsetenv(kVariable);
}

TEST_CASE("the size of a PNG is bounded by its depth and colour type") {
  const auto fault = [](std::uint32_t side, int depth, int colour_type, std::size_t data) {
    return error_of(
        [&] { vision::inspect_picture(small::png(side, side, depth, colour_type, data)); });
  };
  // 1000 x 1000 pixels: 126,000, 251,000, ... bytes in rows with a byte in front of each, of which
  // deflate makes one 1032nd at the best.
  struct Kind {
    int depth, colour_type, row;
  };
  for (const Kind& kind : {Kind{1, 0, 125},
                           {2, 0, 250},
                           {4, 0, 500},
                           {8, 0, 1000},
                           {16, 0, 2000},
                           {8, 2, 3000},
                           {16, 2, 6000},
                           {1, 3, 125},
                           {2, 3, 250},
                           {4, 3, 500},
                           {8, 3, 1000},
                           {8, 4, 2000},
                           {16, 4, 4000},
                           {8, 6, 4000},
                           {16, 6, 8000}}) {
    CAPTURE(kind.depth);
    CAPTURE(kind.colour_type);
    const auto least = static_cast<std::size_t>((1 + kind.row) * 1000 + 1031) / 1032;
    CHECK(fault(1000, kind.depth, kind.colour_type, least) == "");
    CHECK(says(fault(1000, kind.depth, kind.colour_type, least - 1),
               std::to_string(least - 1) + " bytes cannot hold 1000x1000 pixels"));
  }
}

TEST_CASE("a PNG of a depth that its colour type does not have is corrupt") {
  for (int colour_type = 0; colour_type < 9; ++colour_type)
    for (const int depth : {0, 1, 2, 3, 4, 8, 16, 32, 33, 255}) {
      const bool small_depth = depth == 1 || depth == 2 || depth == 4;
      const bool valid = depth == 8 ? colour_type == 0 || colour_type == 2 || colour_type == 3 ||
                                          colour_type == 4 || colour_type == 6
                         : depth == 16 ? colour_type == 0 || colour_type == 2 || colour_type == 4 ||
                                             colour_type == 6
                                       : small_depth && (colour_type == 0 || colour_type == 3);
      CAPTURE(depth);
      CAPTURE(colour_type);
      const std::string error =
          error_of([&] { vision::inspect_picture(small::png(1, 1, depth, colour_type, 20)); });
      if (valid)
        CHECK(error == "");
      else
        CHECK(error == "corrupt PNG: " + std::to_string(depth) + " bits a sample in colour type " +
                           std::to_string(colour_type));
    }
}

TEST_CASE("files of another kind are named for what they are") {
  const auto error = [](const std::string& text) {
    return error_of([&] {
      vision::decode_image({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, "x");
    });
  };
  CHECK(says(error(""), "x: an empty file"));
  CHECK(says(error("GIF89a......"), "GIF"));
  CHECK(says(error("hello world"), "not a picture"));
  CHECK(says(error_of([] { vision::load_image("/nowhere/at.jpg"); }), "/nowhere/at.jpg: cannot"));
  CHECK(says(error_of([] { vision::load_image("/"); }), "regular"));
}
