#include "vision/image/image.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/vision/image/image_support.h"
#include "tests/vision/image/small_pictures.h"
#include "tests/vision/support.h"
#include "vision/image/crc32.h"
#include "vision/image/network_input.h"
#include "vision/image/picture_header.h"
#include "vision/image/resize.h"
#include "vision/image/resize_bilinear.h"

using namespace maskwatch;

using namespace image_support;
using namespace vision_test;
using vision::Image;
namespace small = small_pictures;

namespace {

Image decode(const std::string& digits) { return vision::decode_image(small::bytes(digits), "p"); }

}  // namespace

TEST_CASE("an image addresses its pixels row by row") {
  Image image(4, 3);
  *image.at(1, 2) = 7;
  CHECK(image.pixels[(2 * 4 + 1) * 3] == 7);
}

TEST_CASE("every kind of pixel becomes 8-bit RGB") {
  CHECK(values(decode(small::grey16_png)) == std::vector<int>{128, 128, 128, 1, 1, 1});
  CHECK(values(decode(small::palette_png)) ==
        std::vector<int>{1, 2, 3, 40, 50, 60, 255, 255, 255, 9, 8, 7});
}

TEST_CASE("alpha is composited over white") {
  CHECK(values(decode(small::grey_alpha_png)) == std::vector<int>{10, 10, 10, 127, 127, 127});
  CHECK(values(decode(small::rgba_png)) == std::vector<int>{255, 255, 255, 204, 224, 244});
}

TEST_CASE("a JPEG is turned as its EXIF data say") {
  const Image plain = decode(small::jpeg_orientation_1), turned = decode(small::jpeg_orientation_6);
  REQUIRE(plain.width == 16);
  REQUIRE(turned.width == 8);
  REQUIRE(turned.height == 16);
  CHECK(plain.at(0, 0)[0] > 150);   // red on the left ...
  CHECK(plain.at(15, 0)[2] > 150);  // ... blue on the right
  CHECK(turned.at(7, 0)[0] > 150);  // turned clockwise: red above blue
  CHECK(turned.at(0, 15)[2] > 150);
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 16; ++x) REQUIRE(plain.at(x, y)[1] == turned.at(7 - y, x)[1]);
}

TEST_CASE("an orientation may be a LONG, in either order of bytes") {
  std::vector<std::uint8_t> jpeg = small::bytes(small::jpeg_orientation_6);
  const std::uint8_t as_short[] = {0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0};
  const std::uint8_t as_long[] = {0x01, 0x12, 0, 4, 0, 0, 0, 1, 0, 0, 0, 6};
  const auto entry =
      std::search(jpeg.begin(), jpeg.end(), std::begin(as_short), std::end(as_short));
  REQUIRE(entry != jpeg.end());
  std::copy(std::begin(as_long), std::end(as_long), entry);
  CHECK(vision::inspect_picture(jpeg).orientation == 6);
  const std::vector<std::uint8_t> little{'I',  'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12,
                                         0x01, 4,   0,  1, 0, 0, 0, 8, 0, 0, 0};
  CHECK(vision::exif_orientation(little) == 8);
  std::vector<std::uint8_t> wrong = little;
  wrong[18] = 9;
  CHECK(vision::exif_orientation(wrong) == 1);
  wrong = little;
  wrong[20] = 1;  // 65544
  CHECK(vision::exif_orientation(wrong) == 1);
}

TEST_CASE("a PNG is turned as its eXIf chunk says, before or after its pixels") {
  const std::vector<std::uint8_t> exif{'M',  'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01,
                                       0x12, 0,   3, 0,  0, 0, 1, 0, 6, 0, 0};
  std::vector<std::uint8_t> chunk{0,   0,   0,   static_cast<std::uint8_t>(exif.size()),
                                  'e', 'X', 'I', 'f'};
  chunk.insert(chunk.end(), exif.begin(), exif.end());
  const std::uint32_t sum = vision::crc32(std::span(chunk).subspan(4));
  for (int shift = 24; shift >= 0; shift -= 8)
    chunk.push_back(static_cast<std::uint8_t>(sum >> shift));
  std::vector<std::uint8_t> png = small::bytes(small::rgba_png);
  const Image plain = vision::decode_image(png, "p");
  REQUIRE(plain.width == 2);
  REQUIRE(plain.height == 1);
  for (const std::size_t at : {std::size_t{33}, png.size() - 12}) {
    std::vector<std::uint8_t> turned_png = png;
    turned_png.insert(turned_png.begin() + static_cast<std::ptrdiff_t>(at), chunk.begin(),
                      chunk.end());
    const Image turned = vision::decode_image(turned_png, "p");
    CHECK(turned.width == 1);
    CHECK(turned.height == 2);
    CHECK(turned.pixels == plain.pixels);
  }
}

TEST_CASE("a saved PNG comes back as it was, a JPEG nearly") {
  const Folder folder;
  Image image(40, 30);
  for (int y = 0; y < 30; ++y)
    for (int x = 0; x < 40; ++x) image.at(x, y)[0] = static_cast<std::uint8_t>(6 * x);
  vision::save_image(folder.file("a.png"), image);
  CHECK(vision::load_image(folder.file("a.png")).pixels == image.pixels);
  vision::save_image(folder.file("a.JPG"), image);
  CHECK(largest_difference(vision::load_image(folder.file("a.JPG")), values(image)) < 12);
  CHECK(vision::image_file_size(folder.file("a.JPG")).width == 40);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 2);
}

TEST_CASE("a picture that cannot be written leaves nothing behind") {
  CHECK_THROWS_AS(vision::save_image("/tmp/a.gif", Image(1, 1)), std::invalid_argument);
  CHECK_THROWS_AS(vision::save_image("/tmp/a.png", Image()), std::invalid_argument);
  CHECK(says(error_of([] { vision::save_image("/nowhere/a.png", Image(1, 1)); }),
             "/nowhere/a.png: cannot"));
  const Folder folder;
  std::filesystem::create_directory(folder.file("a.png"));
  CHECK(says(error_of([&] { vision::save_image(folder.file("a.png"), Image(1, 1)); }), "a.png"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("thin pictures are saved, loaded and resized") {
  const Folder folder;
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 10000}, {10000, 1}}) {
    const Image image = pattern(width, height);
    vision::save_image(folder.file("thin.png"), image);
    CHECK(vision::load_image(folder.file("thin.png")).pixels == image.pixels);
    CHECK(vision::resize(image, 224, 224).pixels.size() == 224 * 224 * 3);
  }
}

TEST_CASE("a JPEG cannot be wider or higher than 65535 pixels") {
  const Folder folder;
  for (const auto& [width, height] : {std::pair{65536, 1}, {1, 65536}}) {
    CHECK_THROWS_WITH_AS(vision::save_image(folder.file("a.jpg"), pattern(width, height)),
                         doctest::Contains("JPEG"), std::invalid_argument);
    CHECK_FALSE(std::filesystem::exists(folder.file("a.jpg")));
    CHECK_NOTHROW(vision::save_image(folder.file("a.png"), pattern(width, height)));
  }
  vision::save_image(folder.file("a.jpg"), pattern(65535, 1));
  CHECK(vision::load_image(folder.file("a.jpg")).width == 65535);
}

TEST_CASE("a picture is sound if its bytes are as many as its size says") {
  CHECK(vision::is_sound(Image()));
  CHECK(vision::is_sound(Image(3, 2, 1)));
  CHECK_FALSE(vision::is_sound(Image(3, 2, 2)));
  Image image(3, 2);
  CHECK(vision::is_sound(image));
  image.pixels.pop_back();
  CHECK_FALSE(vision::is_sound(image));
  image = Image(3, 2);
  image.width = image.height = -3;
  image.pixels.resize(27);
  CHECK_FALSE(vision::is_sound(image));
}

TEST_CASE("a view of rows that lie apart is seen as a copy of them") {
  const Image whole = pattern(40, 30);
  const vision::ImageView part(whole.at(7, 4), 20, 15, 3, std::size_t{40} * 3);
  const Image copy = vision::crop(whole, {7, 4, 20, 15});
  CHECK(vision::copy_of(part).pixels == copy.pixels);
  CHECK(vision::crop(part, {2, 3, 9, 8}).pixels == vision::crop(copy, {2, 3, 9, 8}).pixels);
  CHECK(vision::to_grey(part).pixels == vision::to_grey(copy).pixels);
  CHECK(vision::resize(part, 31, 9).pixels == vision::resize(copy, 31, 9).pixels);
  CHECK(vision::resize_bilinear(part, 31, 9).pixels == vision::resize_bilinear(copy, 31, 9).pixels);
  std::vector<float> seen(copy.pixels.size()), expected(copy.pixels.size());
  vision::to_network_input(part, seen.data(), nn::Preprocessing::imagenet);
  vision::to_network_input(copy, expected.data(), nn::Preprocessing::imagenet);
  CHECK(seen == expected);
  const Image grey = vision::to_grey(whole);
  const vision::ImageView grey_part(grey.at(7, 4), 20, 15, 1, 40);
  CHECK(vision::copy_of(grey_part).pixels == vision::to_grey(copy).pixels);
  CHECK(vision::to_rgb(grey_part).pixels == vision::to_rgb(vision::to_grey(copy)).pixels);
}

TEST_CASE("a view of what is no picture is refused") {
  const Image image = pattern(4, 3);
  const std::uint8_t* pixels = image.pixels.data();
  CHECK_NOTHROW(vision::ImageView(pixels, 4, 3, 3, 12));
  CHECK_THROWS_AS(vision::ImageView(pixels, 4, 3, 3, 11), std::invalid_argument);
  CHECK_THROWS_AS(vision::ImageView(pixels, -4, 3, 3, 12), std::invalid_argument);
  CHECK_THROWS_AS(vision::ImageView(pixels, 4, -3, 3, 12), std::invalid_argument);
  CHECK_THROWS_AS(vision::ImageView(pixels, 3, 3, 4, 12), std::invalid_argument);
  CHECK_THROWS_AS(vision::ImageView(nullptr, 4, 3, 3, 12), std::invalid_argument);
  CHECK(vision::ImageView(nullptr, 0, 3, 3, 0).empty());
  CHECK(vision::ImageView(Image()).empty());
  Image broken(3, 2);
  broken.pixels.pop_back();
  CHECK_THROWS_WITH_AS(vision::resize(broken, 2, 2),
                       doctest::Contains("3x2 with 3 channels and 17"), std::invalid_argument);
}

TEST_CASE("a crop is clamped to the picture") {
  const Image image = pattern(9, 7);
  const Image part = vision::crop(image, {-3, 5, 5, 100});
  REQUIRE(part.width == 2);
  REQUIRE(part.height == 2);
  CHECK(part.at(1, 1)[2] == image.at(1, 6)[2]);
  CHECK_THROWS_AS(vision::crop(image, {9, 0, 5, 5}), std::invalid_argument);
  CHECK_THROWS_AS(vision::crop(image, {std::nanf(""), 0, 5, 5}), std::invalid_argument);
  CHECK(vision::crop(image, {-1e30f, -1e30f, 3e30f, 3e30f}).pixels == image.pixels);
}

TEST_CASE("a flip exchanges left and right") {
  const Image image = pattern(5, 3), flipped = vision::flip_horizontally(image);
  CHECK(flipped.at(0, 2)[1] == image.at(4, 2)[1]);
  CHECK(vision::flip_horizontally(flipped).pixels == image.pixels);
}
