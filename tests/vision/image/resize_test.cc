#include "vision/image/resize.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

#include "tests/vision/image/image_support.h"

using namespace maskwatch;

using namespace image_support;
using vision::Box;
using vision::Image;

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

TEST_CASE("a filter has no taps that no position uses") {
  struct Case {
    int from, to, taps;
  };
  for (const Case& c :
       {Case{640, 320, 4}, {480, 480, 1}, {769, 640, 3}, {100, 400, 2}, {1, 5, 1}}) {
    CAPTURE(c.from);
    CAPTURE(c.to);
    const vision::ResizeAxis axis = vision::make_resize_axis(c.from, c.to);
    CHECK(axis.taps == c.taps);
    REQUIRE(axis.first.size() == static_cast<std::size_t>(c.to));
    for (int i = 0; i < c.to; ++i) {
      CHECK(axis.first[i] >= 0);
      CHECK(axis.first[i] + axis.taps <= c.from);
      int sum = 0;
      for (int t = 0; t < axis.taps; ++t) sum += axis.weights[i * axis.taps + t];
      CHECK(sum >= 32767);
      CHECK(sum <= 32768);
    }
  }
}
