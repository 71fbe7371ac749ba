#include "vision/image/image.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>

#include "tests/vision/image/small_pictures.h"

using namespace maskwatch;

namespace {

using vision::Box;
using vision::Image;
namespace small = small_pictures;

Image decode(const std::string& digits) { return vision::decode_image(small::bytes(digits), "p"); }

std::vector<int> values(const Image& image) { return {image.pixels.begin(), image.pixels.end()}; }

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

bool says(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// A folder that goes away with the test.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("maskwatch_image_" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const char* name) const { return (path / name).string(); }
};

Image pattern(int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.at(x, y)[c] = static_cast<std::uint8_t>((x * 37 + y * 91 + c * 53) % 256);
  return image;
}

int largest_difference(const Image& a, const std::vector<int>& b) {
  REQUIRE(a.pixels.size() == b.size());
  int largest = 0;
  for (std::size_t i = 0; i < b.size(); ++i)
    largest = std::max(largest, std::abs(a.pixels[i] - b[i]));
  return largest;
}

// Makes every check sum of a PNG right again, so that damage reaches the decoder.
void mend_check_sums(std::vector<std::uint8_t>& png) {
  const auto u32 = [&](std::size_t at) {
    return std::size_t{png[at]} << 24 | png[at + 1] << 16 | png[at + 2] << 8 | png[at + 3];
  };
  for (std::size_t at = 8; at + 12 <= png.size() && u32(at) <= png.size() - at - 12;) {
    const std::size_t end = at + 8 + u32(at);
    std::uint32_t crc = 0xFFFFFFFF;
    for (std::size_t i = at + 4; i < end; ++i) {
      crc ^= png[i];
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    for (std::size_t i = 0; i < 4; ++i)
      png[end + i] = static_cast<std::uint8_t>(~crc >> (24 - 8 * i));
    at = end + 4;
  }
}

std::vector<std::uint8_t> bmp(int width, int height, int bits) {
  std::vector<std::uint8_t> out(54, 0);
  const auto put = [&](std::size_t at, std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) out[at + i] = static_cast<std::uint8_t>(value >> 8 * i);
  };
  out[0] = 'B';
  out[1] = 'M';
  put(10, 54, 4);
  put(14, 40, 4);
  put(18, width, 4);
  put(22, height, 4);
  put(26, 1, 2);
  put(28, bits, 2);
  return out;
}

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

TEST_CASE("a progressive JPEG is read") {
  const Image image = decode(small::progressive_jpeg);
  CHECK(image.width == 16);
  CHECK(std::abs(image.at(0, 0)[0] - 200) < 12);
  CHECK(std::abs(image.at(15, 7)[2] - 220) < 12);
}

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

TEST_CASE("damaged pictures never crash the decoder") {
  std::mt19937 random(7);
  std::vector<std::vector<std::uint8_t>> pictures = {bmp(5, 4, 24), bmp(9, 4, 4), bmp(3, 3, 16)};
  for (auto& picture : pictures) picture.resize(picture.size() + 200);
  for (const char* digits : {small::grey16_png, small::rgba_png, small::palette_png,
                             small::jpeg_orientation_6, small::progressive_jpeg})
    pictures.push_back(small::bytes(digits));
  for (const auto& whole : pictures) {
    for (int round = 0; round < 3000; ++round) {
      std::vector<std::uint8_t> damaged = whole;
      for (int i = 0; i <= round % 4; ++i) damaged[random() % whole.size()] = random() & 255;
      if (whole[1] == 'P' && round % 2 == 0) mend_check_sums(damaged);
      try {
        const Image image = vision::decode_image(damaged, "p");
        REQUIRE(image.pixels.size() == std::size_t(image.width) * image.height * 3);
      } catch (const std::runtime_error& error) {
        REQUIRE(says(error.what(), "p: "));
      }
    }
  }
}

TEST_CASE("a Huffman code of too many symbols is refused") {
  std::vector<std::uint8_t> jpeg = small::bytes(small::jpeg_orientation_1);
  for (std::size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC4) jpeg[i + 18] = jpeg[i + 19] = 255;
  CHECK(says(error_of([&] { vision::decode_image(jpeg, "p"); }), "256 symbols"));
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
  CHECK(says(error_of([] { vision::decode_image(bmp(1 << 14, 1 << 14, 24), "p"); }), "limit"));
  CHECK(says(error_of([] { vision::decode_image(bmp(1000, -1000, 24), "p"); }), "truncated"));
  CHECK(says(error_of([] { vision::decode_image(bmp(0, 5, 24), "p"); }), "makes no sense"));
}

TEST_CASE("a BMP is read from bottom to top") {
  std::vector<std::uint8_t> bytes = bmp(1, 2, 24);
  for (int value : {3, 2, 1, 0, 6, 5, 4, 0}) bytes.push_back(static_cast<std::uint8_t>(value));
  CHECK(values(vision::decode_image(bytes, "p")) == std::vector<int>{4, 5, 6, 1, 2, 3});
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

// np.asarray(PIL.Image.fromarray(a).resize(size, Image.BILINEAR)), Pillow 12, for a = pattern(9,
// 7).
TEST_CASE("resize gives what Pillow's BILINEAR gives") {
  const std::vector<int> shrunk = {98,  128, 138, 130, 155, 131, 124, 128, 137, 106, 120, 149,
                                   108, 129, 139, 113, 133, 133, 130, 149, 126, 123, 126, 144,
                                   129, 136, 137, 111, 131, 149, 116, 130, 126, 130, 142, 126};
  CHECK(largest_difference(vision::resize(pattern(9, 7), 4, 3), shrunk) <= 1);
  const std::vector<int> mixed = {
      21,  74,  127, 79,  132, 185, 148, 201, 194, 169, 94,  67,  37,  72,  125, 62,  115, 160, 120,
      173, 132, 162, 153, 146, 116, 99,  108, 70,  113, 166, 119, 162, 187, 159, 208, 72,  169, 99,
      97,  60,  113, 162, 118, 160, 203, 165, 138, 93,  85,  103, 99,  103, 119, 155, 118, 171, 189,
      176, 136, 109, 132, 115, 86,  69,  91,  144, 107, 160, 142, 159, 165, 158, 148, 113, 96,  38,
      91,  144, 96,  149, 202, 165, 218, 75,  186, 111, 84,  54,  89,  142, 96,  149, 190, 154, 156,
      128, 98,  113, 95,  112, 118, 142, 100, 147, 200, 149, 172, 177, 155, 137, 97,  68,  78,  131,
      94,  147, 152, 152, 170, 188, 195, 148, 83,  81,  83,  124, 88,  136, 189, 152, 205, 98,  210,
      146, 83,  122, 125, 120, 93,  125, 178, 141, 161, 140, 114, 123, 96,  128, 123, 118, 55,  108,
      161, 113, 166, 219, 182, 175, 92,  75,  48,  101, 53,  106, 159};
  CHECK(largest_difference(vision::resize(pattern(9, 7), 5, 11), mixed) <= 1);
}

TEST_CASE("resize to the same size changes nothing, and a flat picture stays flat") {
  const Image image = pattern(33, 21);
  CHECK(vision::resize(image, 33, 21).pixels == image.pixels);
  Image white(301, 67);
  white.pixels.assign(white.pixels.size(), 255);
  for (int size : {1, 7, 64, 500})
    for (int value : vision::resize(white, size, 3 * size).pixels) REQUIRE(value == 255);
}

TEST_CASE("resize treats grey as it treats each colour") {
  const Image grey = vision::to_grey(pattern(50, 40));
  Image rgb(50, 40);
  for (std::size_t i = 0; i < rgb.pixels.size(); ++i) rgb.pixels[i] = grey.pixels[i / 3];
  const Image a = vision::resize(grey, 23, 71), b = vision::resize(rgb, 23, 71);
  for (std::size_t i = 0; i < b.pixels.size(); ++i) REQUIRE(b.pixels[i] == a.pixels[i / 3]);
}

TEST_CASE("cropping while resizing equals cropping first") {
  const Image image = pattern(60, 50);
  const Box box{7.4f, 3.6f, 40, 60};
  CHECK(vision::crop_and_resize(image, box, 17, 29).pixels ==
        vision::resize(vision::crop(image, box), 17, 29).pixels);
  CHECK_THROWS_AS(vision::resize(image, 0, 5), std::invalid_argument);
  CHECK_THROWS_AS(vision::resize(Image(), 5, 5), std::invalid_argument);
}

// cv2.cvtColor(np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [13, 200, 77]]]),
// cv2.COLOR_RGB2GRAY)
TEST_CASE("grey is OpenCV's grey") {
  Image image(4, 1);
  image.pixels = {255, 0, 0, 0, 255, 0, 0, 0, 255, 13, 200, 77};
  CHECK(values(vision::to_grey(image)) == std::vector<int>{76, 150, 29, 130});
}

TEST_CASE("a flip exchanges left and right") {
  const Image image = pattern(5, 3), flipped = vision::flip_horizontally(image);
  CHECK(flipped.at(0, 2)[1] == image.at(4, 2)[1]);
  CHECK(vision::flip_horizontally(flipped).pixels == image.pixels);
}
