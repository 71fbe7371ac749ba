#include "vision/image/optional_format.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/vision/image/optional_pictures.h"
#include "tests/vision/image/small_pictures.h"
#include "tests/vision/support.h"
#include "vision/image/codec_gif.h"
#include "vision/image/codec_heif.h"
#include "vision/image/codec_tiff.h"
#include "vision/image/codec_webp.h"
#include "vision/image/image.h"

using namespace maskwatch;

using namespace vision_test;
using vision::Image;
using vision::OptionalFormat;
namespace small = small_pictures;
using Bytes = std::vector<std::uint8_t>;

namespace {

struct Sample {
  const OptionalFormat* format;
  const char* digits;
};

// All that show the two halves.
const Sample kSamples[] = {{&vision::kGif, small::gif},
                           {&vision::kGif, small::animated_gif},
                           {&vision::kTiff, small::tiff},
                           {&vision::kTiff, small::tiff_lzw},
                           {&vision::kWebp, small::webp_lossless},
                           {&vision::kWebp, small::webp_lossy},
                           {&vision::kWebp, small::animated_webp},
                           {&vision::kHeif, small::heic},
                           {&vision::kHeif, small::avif}};

// Whether the build reads it. If not, the error says why.
bool is_built(const Sample& sample) {
  if (sample.format->built) return true;
  MESSAGE("SKIPPED, NOT TESTED: the build has no library for " << sample.format->name);
  const std::string error =
      error_of([&] { vision::decode_image(small::bytes(sample.digits), "p"); });
  CHECK(says(error, std::string("its meson option ") + sample.format->option));
  return false;
}

bool near(const std::uint8_t* pixel, int r, int g, int b, int most) {
  return std::abs(pixel[0] - r) <= most && std::abs(pixel[1] - g) <= most &&
         std::abs(pixel[2] - b) <= most;
}

void check_halves(const Image& image) {
  REQUIRE(image.width == 16);
  REQUIRE(image.height == 12);
  for (const int y : {0, 5, 11}) {
    CHECK(near(image.at(1, y), 200, 30, 40, 24));
    CHECK(near(image.at(14, y), 20, 60, 220, 24));
  }
}

// Puts a number in the place of every one that stands at `offset` from `mark`.
void patch(Bytes& bytes, const std::string& mark, std::size_t offset, const Bytes& number) {
  auto at = bytes.begin();
  int found = 0;
  while ((at = std::search(at, bytes.end(), mark.begin(), mark.end())) != bytes.end()) {
    std::copy(number.begin(), number.end(), at + static_cast<std::ptrdiff_t>(offset));
    ++at;
    ++found;
  }
  REQUIRE(found > 0);
}

std::string fault(const Bytes& bytes) {
  return error_of([&] { vision::decode_image(bytes, "p"); });
}

}  // namespace

TEST_CASE("GIF, TIFF, WebP, HEIC and AVIF are read, of several frames the first") {
  for (const Sample& sample : kSamples) {
    CAPTURE(sample.format->name);
    if (!is_built(sample)) continue;
    check_halves(vision::decode_image(small::bytes(sample.digits), "p"));
  }
}

TEST_CASE("what is transparent is white in every format") {
  for (const Sample& sample : {Sample{&vision::kGif, small::transparent_gif},
                               {&vision::kTiff, small::transparent_tiff},
                               {&vision::kWebp, small::transparent_webp}}) {
    CAPTURE(sample.format->name);
    if (!is_built(sample)) continue;
    const Image image = vision::decode_image(small::bytes(sample.digits), "p");
    REQUIRE(image.width == 8);
    CHECK(near(image.at(0, 0), 255, 255, 255, 0));
    CHECK(near(image.at(7, 7), 0, 0, 255, 0));
  }
}

TEST_CASE("WebP and TIFF are turned as they say") {
  for (const Sample& sample : {Sample{&vision::kTiff, small::tiff_orientation_6},
                               {&vision::kWebp, small::webp_orientation_6}}) {
    CAPTURE(sample.format->name);
    if (!is_built(sample)) continue;
    const Bytes bytes = small::bytes(sample.digits);
    const vision::PictureHeader header = vision::inspect_picture(bytes);
    CHECK(header.orientation == 6);
    CHECK(header.width == 16);
    const Image image = vision::decode_image(bytes, "p");  // a quarter turn: left becomes top
    REQUIRE(image.width == 12);
    REQUIRE(image.height == 16);
    CHECK(near(image.at(0, 0), 200, 30, 40, 24));
    CHECK(near(image.at(11, 0), 200, 30, 40, 24));
    CHECK(near(image.at(5, 15), 20, 60, 220, 24));
  }
}

TEST_CASE("a picture of these formats that is cut is an error, or whole as far as it shows") {
  for (const Sample& sample : kSamples) {
    if (!is_built(sample)) continue;
    CAPTURE(sample.format->name);
    const Bytes whole = small::bytes(sample.digits);
    int read = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::span<const std::uint8_t> part(whole.data(), size);
      try {
        check_halves(vision::decode_image(part, "cut.jpg"));
        ++read;
      } catch (const std::runtime_error& error) {
        REQUIRE(says(error.what(), "cut.jpg: "));
      }
    }
    // The end mark of a GIF, and frames after the first, are not missed.
    CHECK(read <= (sample.format == &vision::kGif ? 60 : 0));
  }
}

TEST_CASE("damage to these formats never crashes") {
  std::mt19937 random(11);
  for (const Sample& sample : kSamples) {
    if (!is_built(sample)) continue;
    const Bytes whole = small::bytes(sample.digits);
    for (int round = 0; round < 300; ++round) {
      Bytes damaged = whole;
      for (int i = 0; i <= round % 4; ++i) damaged[random() % whole.size()] = random() & 255;
      try {
        const Image image = vision::decode_image(damaged, "p");
        REQUIRE(image.pixels.size() == std::size_t{3} * image.width * image.height);
      } catch (const std::runtime_error& error) {
        REQUIRE(says(error.what(), "p: "));
      }
    }
  }
}

TEST_CASE("sizes over the limit are refused by their headers") {
  if (vision::kGif.built) {
    Bytes gif = small::bytes(small::gif);
    for (const std::size_t at : {6, 8}) gif[at] = gif[at + 1] = 0xFF;
    CHECK(says(fault(gif), "65535x65535 is over the limit of 256 million"));
    gif[7] = gif[9] = 0x20;  // 8447x8447
    CHECK(says(fault(gif), "so few bytes"));
  }
  if (vision::kTiff.built) {
    Bytes tiff = small::bytes(small::tiff);
    for (const std::string& tag :
         {std::string("\x00\x01\x04\x00", 4), std::string("\x01\x01\x04\x00", 4)})
      patch(tiff, tag, 8, {0, 0, 1, 0});
    CHECK(says(fault(tiff), "65536x65536 is over the limit"));
    Bytes of_signed = small::bytes(small::tiff);
    patch(of_signed, std::string("\x1c\x01\x03\x00", 4), 0, {0x53});  // its last tag: of samples
    patch(of_signed, std::string("\x53\x01\x03\x00", 4), 8, {2});
    CHECK(says(fault(of_signed), "samples that are not unsigned"));
  }
  if (vision::kWebp.built) {
    Bytes webp = small::bytes(small::animated_webp);
    patch(webp, "VP8X", 12, {0xFE, 0x3F, 0, 0xFF, 0xFF, 0});
    CHECK(says(fault(webp), "16383x65536 is over the limit"));
  }
  if (vision::kHeif.built)
    for (const char* digits : {small::heic, small::avif}) {
      Bytes heif = small::bytes(digits);
      patch(heif, "ispe", 8, {0, 0, 0x80, 0, 0, 0, 0x80, 0});
      CHECK(fault(heif) != "");
    }
}

TEST_CASE("what holds no picture for us is named, with what can be read") {
  const auto says_of = [](const std::string& content, const std::string& kind) {
    const std::string error = fault(Bytes(content.begin(), content.end()));
    CAPTURE(error);
    CHECK(says(error, kind));
    CHECK(says(error, "JPEG, PNG, BMP"));
  };
  says_of("hello", "not a picture");
  says_of(std::string("\0\0\0\x18"
                      "ftypmp42\0\0\0\0mp42isom",
                      24),
          "a video file");
  says_of(std::string("\0\0\0\x0C"
                      "JXL \r\n\x87\n",
                      12),
          "a JPEG XL picture");
  says_of("%PDF-1.4", "a PDF file");
  says_of("", "an empty file");
}
