#include "vision/image/augment.h"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "tests/vision/image/image_support.h"

using namespace maskwatch;

using namespace image_support;

namespace {

using vision::AugmentOptions;
using vision::AugmentParameters;
using vision::Image;

Image augmented(const Image& in, const AugmentParameters& parameters) {
  Image out;
  vision::augment(in, parameters, out);
  return out;
}

AugmentOptions everything() {
  AugmentOptions all;
  all.brightness = .3f;
  all.contrast = .5f;
  all.saturation = 1;
  all.hue = 180;
  all.grey = .2f;
  all.blur = 3;
  all.low_resolution = 5;
  all.noise = 30;
  all.jpeg = .5f;
  all.random_erasing = .5f;
  return all;
}

}  // namespace

TEST_CASE("some pictures are turned by quarters, and all else is drawn as before") {
  AugmentOptions options = everything(), turning = everything();
  turning.turned = .5f;
  int turned = 0;
  bool by[3] = {};
  for (std::uint64_t i = 0; i < 400; ++i) {
    const AugmentParameters p = vision::draw_augmentation(options, 1, 2, i);
    const AugmentParameters t = vision::draw_augmentation(turning, 1, 2, i);
    CHECK(t.shift_x == p.shift_x);
    CHECK(t.noise_key == p.noise_key);
    const float more = t.rotation - p.rotation;
    if (more == 0) continue;
    ++turned;
    const auto quarters = std::lround(more / 90);
    REQUIRE(quarters >= 1);
    REQUIRE(quarters <= 3);
    by[quarters - 1] = true;
    CHECK(more == doctest::Approx(90.f * static_cast<float>(quarters)));
  }
  CHECK(turned > 160);
  CHECK(turned < 240);
  CHECK((by[0] && by[1] && by[2]));
  AugmentParameters half;
  half.rotation = 180;
  const Image picture = pattern(6, 5);
  const Image turned_over = augmented(picture, half);
  for (int y = 0; y < 5; ++y)
    for (int x = 0; x < 6; ++x)
      CHECK(std::abs(turned_over.at(x, y)[0] - picture.at(5 - x, 4 - y)[0]) <= 1);
}

// tests/vision/image/peer_test.py prints these: Keras's matrix,
// scipy.ndimage.affine_transform(order=1, mode='nearest').
TEST_CASE("the warp is Keras's") {
  AugmentParameters p;
  p.rotation = 17;
  p.shift_y = .1f;
  p.shift_x = -.2f;
  p.shear = 12;
  p.zoom_y = .9f;
  p.zoom_x = 1.1f;
  CHECK(largest_difference(
            augmented(pattern(6, 5), p),
            {109, 162, 72,  174, 227, 47,  143, 149, 153, 130, 183, 139, 117, 170, 145,
             125, 178, 231, 44,  97,  150, 55,  108, 102, 171, 76,  81,  90,  92,  90,
             162, 215, 55,  192, 141, 136, 108, 161, 214, 76,  129, 182, 63,  116, 169,
             53,  103, 156, 37,  90,  143, 154, 90,  131, 108, 161, 214, 120, 173, 226,
             151, 204, 189, 138, 165, 136, 126, 179, 185, 113, 166, 127, 108, 161, 214,
             130, 183, 236, 165, 218, 132, 201, 124, 51,  124, 74,  98,  145, 198, 51}) <= 1);
  p = {};
  p.rotation = -9;
  p.shift_y = -.15f;
  p.shift_x = .05f;
  p.shear = .1f;
  p.zoom_y = 1.13f;
  p.zoom_x = .87f;
  p.flip = true;
  CHECK(largest_difference(
            augmented(pattern(6, 5), p),
            {185, 238, 35,  169, 222, 132, 137, 190, 243, 105, 158, 211, 73,  126, 179,
             41,  94,  147, 98,  151, 83,  160, 150, 144, 154, 172, 194, 110, 163, 184,
             67,  120, 173, 35,  88,  141, 78,  131, 184, 137, 90,  143, 153, 151, 99,
             143, 196, 55,  144, 187, 97,  117, 170, 223, 176, 229, 88,  132, 185, 78,
             88,  141, 173, 44,  97,  150, 110, 53,  106, 190, 105, 62,  47,  100, 121,
             66,  90,  87,  183, 82,  134, 139, 176, 124, 95,  148, 177, 51,  104, 157}) <= 1);
}

TEST_CASE("no parameters, no change; a flip alone is exact") {
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 9}, {9, 1}, {2, 2}, {65, 33}}) {
    const Image image = pattern(width, height);
    CHECK(augmented(image, {}).pixels == image.pixels);
    AugmentParameters flip;
    flip.flip = true;
    CHECK(augmented(image, flip).pixels == vision::flip_horizontally(image).pixels);
  }
}

TEST_CASE("a flat picture stays flat wherever it is warped to") {
  AugmentOptions options;
  options.rotation = 180;
  options.width_shift = options.height_shift = 2;
  for (int value : {0, 1, 127, 254, 255}) {
    Image flat(31, 17);
    flat.pixels.assign(flat.pixels.size(), static_cast<std::uint8_t>(value));
    for (int i = 0; i < 20; ++i)
      REQUIRE(augmented(flat, vision::draw_augmentation(options, 3, 0, i)).pixels == flat.pixels);
  }
}

TEST_CASE("draws depend on seed, epoch and index, stay in range and fill it") {
  const AugmentOptions options;
  const auto first = vision::draw_augmentation(options, 42, 1, 7);
  CHECK(first.rotation == vision::draw_augmentation(options, 42, 1, 7).rotation);
  CHECK(first.rotation != vision::draw_augmentation(options, 43, 1, 7).rotation);
  CHECK(first.rotation != vision::draw_augmentation(options, 42, 2, 7).rotation);
  CHECK(first.rotation != vision::draw_augmentation(options, 42, 1, 8).rotation);
  double low = 99, high = -99, mean_zoom = 0;
  int flips = 0;
  for (int i = 0; i < 4000; ++i) {
    const AugmentParameters p = vision::draw_augmentation(options, 1, 2, i);
    low = std::min<double>(low, p.rotation);
    high = std::max<double>(high, p.rotation);
    mean_zoom += p.zoom_x / 4000;
    flips += p.flip;
    REQUIRE(std::abs(p.zoom_y - 1) <= .15001);
    REQUIRE(std::abs(p.shift_x) <= .20001);
    REQUIRE(std::abs(p.shear) <= .15001);
    REQUIRE(p.brightness == 0);
    REQUIRE(p.contrast == 1);
    REQUIRE(p.jpeg_quality == 0);
    REQUIRE(p.erased.width == 0);
  }
  CHECK(low >= -20);
  CHECK(high <= 20);
  CHECK(high - low > 39.5);
  CHECK(std::abs(mean_zoom - 1) < .005);
  CHECK(std::abs(flips - 2000) < 150);
}

TEST_CASE("extras work on pictures of any size and repeat exactly") {
  const AugmentOptions all = everything();
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 40}, {40, 1}, {33, 20}}) {
    const Image image = pattern(width, height);
    for (int i = 0; i < 40; ++i) {
      const AugmentParameters p = vision::draw_augmentation(all, 5, 0, i);
      REQUIRE(augmented(image, p).pixels == augmented(image, p).pixels);
    }
  }
}

TEST_CASE("saturation zero is grey, and hue turns red to green") {
  AugmentParameters p;
  p.saturation = 0;
  const Image grey = augmented(pattern(9, 9), p);
  for (std::size_t i = 0; i < grey.pixels.size(); i += 3)
    REQUIRE(std::abs(grey.pixels[i] - grey.pixels[i + 2]) <= 1);
  p = {};
  p.hue = 120;
  Image red(2, 2);
  for (std::size_t i = 0; i < red.pixels.size(); i += 3) red.pixels[i] = 200;
  const Image turned = augmented(red, p);
  CHECK(turned.pixels[1] > turned.pixels[0] + 50);
  CHECK(turned.pixels[1] > turned.pixels[2] + 50);
}

TEST_CASE("blur keeps the mean, noise has the deviation asked for") {
  Image image(64, 64);
  *image.at(32, 32) = 255;
  vision::blur(image, 2);
  int sum = 0;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) sum += image.pixels[i];
  CHECK(std::abs(sum - 255) < 25);
  CHECK(image.at(32, 32)[0] < 20);
  Image grey(100, 100);
  grey.pixels.assign(grey.pixels.size(), 128);
  vision::add_noise(grey, 12, 3);
  double square = 0, mean = 0;
  for (int value : grey.pixels) {
    square += (value - 128.) * (value - 128.) / static_cast<double>(grey.pixels.size());
    mean += (value - 128.) / static_cast<double>(grey.pixels.size());
  }
  CHECK(std::abs(std::sqrt(square) - 12) < .3);
  CHECK(std::abs(mean) < .3);
}

TEST_CASE("augment refuses what it cannot take") {
  Image image = pattern(4, 4), out;
  CHECK_THROWS_AS(vision::augment(image, {}, image), std::invalid_argument);
  CHECK_THROWS_AS(vision::augment(Image(), {}, out), std::invalid_argument);
  CHECK_THROWS_AS(vision::augment(Image(3, 3, 1), {}, out), std::invalid_argument);
  vision::AugmentParameters nowhere;
  nowhere.shift_x = std::nanf("");
  CHECK_THROWS_AS(vision::augment(image, nowhere, out), std::invalid_argument);
}
