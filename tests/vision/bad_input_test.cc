// Pictures out of the ordinary, through everything that looks at faces: a right answer or a
// std::invalid_argument, never harm. Broken files of each kind are in the tests of their readers
// (haar_model, landmark_file, landmark_network, ssd, codec, picture_header); run all of them under
// ASan and UBSan (see CONTRIBUTING.md).
#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/vision/image/small_pictures.h"
#include "vision/drawn/face_extras.h"
#include "vision/drawn/face_generator.h"
#include "vision/drawn/mask_flat.h"
#include "vision/drawn/mask_overlay.h"
#include "vision/faces/face_detector.h"
#include "vision/faces/landmark_finder.h"
#include "vision/faces/network_metadata.h"
#include "vision/haar/haar.h"
#include "vision/haar/haar_model.h"
#include "vision/masks/mask_classifier.h"

using namespace maskwatch;

namespace {

using vision::Image;

struct Sample {
  std::string name;
  Image image;
};

Image noise(int width, int height, int channels) {
  Image image(width, height, channels);
  Random random{static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height)};
  for (auto& value : image.pixels) value = static_cast<std::uint8_t>(random.below(256));
  return image;
}

// Decoded from small files (grey, with alpha, of 16 bits, of a palette), and thin and tiny ones.
std::vector<Sample> odd_pictures() {
  using namespace small_pictures;
  std::vector<Sample> samples;
  for (const char* digits :
       {grey16_png, grey_alpha_png, rgba_png, palette_png, jpeg_orientation_6, progressive_jpeg})
    samples.push_back({"file", vision::decode_image(bytes(digits), "file")});
  for (const auto& [width, height] :
       {std::pair{1, 1}, {1, 10000}, {10000, 1}, {2, 3}, {23, 24}, {31, 400}, {64, 64}})
    for (const int channels : {1, 3})
      samples.push_back(
          {std::to_string(width) + "x" + std::to_string(height) + "x" + std::to_string(channels),
           noise(width, height, channels)});
  return samples;
}

void expect_boxes_inside(const std::vector<vision::Detection>& faces, const Image& image) {
  for (const vision::Detection& face : faces) {
    CHECK(face.box.x >= 0);
    CHECK(face.box.y >= 0);
    CHECK(face.box.width >= 1);
    CHECK(face.box.height >= 1);
    CHECK(face.box.x + face.box.width <= static_cast<float>(image.width) + .01f);
    CHECK(face.box.y + face.box.height <= static_cast<float>(image.height) + .01f);
  }
}

std::array<vision::Point, 68> landmarks_over(const Image& image) {
  auto points = vision::draw_face(vision::random_face(1, false), 100, 100).landmarks;
  for (vision::Point& p : points)
    p = {p.x / 100 * static_cast<float>(image.width), p.y / 100 * static_cast<float>(image.height)};
  return points;
}

}  // namespace

TEST_CASE("odd pictures: cascades find boxes inside them, or nothing") {
  const auto cascade = vision::HaarCascade::load("tests/vision/haar/haar_corpus/good_stumps.xml");
  for (const Sample& sample : odd_pictures()) {
    CAPTURE(sample.name);
    expect_boxes_inside(cascade.detect(sample.image, {.min_width = 0, .min_height = 0}),
                        sample.image);
  }
  if (!vision::find_haar_cascade("haarcascade_frontalface_alt2.xml")) {
    MESSAGE("SKIPPED, NOT TESTED: opencv-data is not installed");
    return;
  }
  const auto detector = vision::make_face_detector("haar");
  for (const Sample& sample : odd_pictures())
    expect_boxes_inside(detector->detect(sample.image), sample.image);
}

TEST_CASE("odd pictures: the network's input is filled to the last number") {
  for (const vision::Fit fit : {vision::Fit::stretch, vision::Fit::corner, vision::Fit::centre}) {
    const vision::InputForm form{48, 32, {1, 2, 3}, {.5f, .5f, .5f}, fit};
    for (const Sample& sample : odd_pictures()) {
      CAPTURE(sample.name);
      std::vector<float> input(form.count(), std::nanf(""));
      vision::fill_input(form, sample.image, input);
      for (const float value : input) CHECK((value >= -1.5f && value <= 127));
      const vision::PixelBox extent = form.extent(sample.image.width, sample.image.height);
      CHECK(extent.x >= 0);
      CHECK(extent.y >= 0);
      CHECK(extent.width >= 1);
      CHECK(extent.height >= 1);
      CHECK(extent.x + extent.width <= form.width);
      CHECK(extent.y + extent.height <= form.height);
    }
    std::vector<float> input(form.count());
    CHECK_THROWS_AS(vision::fill_input(form, Image(), input), std::invalid_argument);
    input.pop_back();
    CHECK_THROWS_AS(vision::fill_input(form, Image(4, 4), input), std::invalid_argument);
  }
}

TEST_CASE("odd pictures: masks and other things are laid on or refused") {
  for (const Sample& sample : odd_pictures()) {
    CAPTURE(sample.name);
    const auto points = landmarks_over(sample.image);
    for (int seed = 0; seed < 6; ++seed) {
      try {
        const auto masked =
            vision::lay_mask(sample.image, points,
                             vision::random_mask(static_cast<std::uint64_t>(seed),
                                                 static_cast<vision::MaskWear>(seed % 3)));
        CHECK(masked.picture.pixels.size() == sample.image.pixels.size());
      } catch (const std::invalid_argument&) {
        CHECK((sample.image.channels == 1 || sample.image.width < 8 || sample.image.height < 8));
      }
      Image drawn = sample.image;
      if (drawn.channels == 3)
        vision::draw_extra(drawn, points, vision::random_extra(static_cast<std::uint64_t>(seed)),
                           static_cast<std::uint64_t>(seed));
    }
    try {
      const auto pasted = vision::paste_flat_mask(sample.image, points);
      CHECK(pasted.picture.pixels.size() == sample.image.pixels.size());
    } catch (const std::invalid_argument&) {
      CHECK((sample.image.channels == 1 || sample.image.width < 8 || sample.image.height < 8));
    }
  }
}

TEST_CASE("odd pictures: dlib's predictor gives finite points, or refuses the box") {
  if (!std::filesystem::exists(vision::kDlibLandmarkFile)) {
    MESSAGE("SKIPPED, NOT TESTED: libdlib-data is not installed");
    return;
  }
  const auto finder = vision::make_landmark_finder("dlib");
  for (const Sample& sample : odd_pictures()) {
    CAPTURE(sample.name);
    const auto width = static_cast<float>(sample.image.width),
               height = static_cast<float>(sample.image.height);
    for (const vision::Box& face :
         {vision::Box{0, 0, width, height}, vision::Box{width - 1, height - 1, 500, 500}}) {
      const vision::LandmarkFit fit = finder->find(sample.image, face);
      for (const vision::Point& p : fit.points) CHECK(std::isfinite(p.x + p.y));
    }
  }
  CHECK_THROWS_AS(finder->find(Image(), {0, 0, 5, 5}), std::invalid_argument);
}
