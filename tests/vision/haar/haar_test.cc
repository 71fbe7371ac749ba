#include "vision/haar/haar.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "tests/vision/haar/cascade_files.h"
#include "tests/vision/support.h"
#include "vision/image/image.h"

using namespace maskwatch;

using namespace cascade_files;

namespace {

using Row = std::array<int, 5>;  // x, y, width, height, windows

std::vector<Row> rows(const std::vector<vision::Detection>& found) {
  std::vector<Row> result;
  for (const vision::Detection& d : found) {
    result.push_back({static_cast<int>(d.box.x), static_cast<int>(d.box.y),
                      static_cast<int>(d.box.width), static_cast<int>(d.box.height),
                      static_cast<int>(d.score)});
  }
  return result;
}

struct Published {
  std::string cascade;
  std::string picture;
  int min_neighbors;
  int min_size;
  std::vector<Row> boxes;
};

// Printed by opencv-python-headless 4.14.0, one thread:
//   CascadeClassifier(cascade).detectMultiScale2(imread(picture), 1.1, min_neighbors, 0, (min_size,
//   min_size))
const std::vector<Published> kPublished = {
    {"frontalface_default", "basketball1.png", 3, 30, {{72, 91, 39, 39, 9}, {523, 332, 91, 91, 5}}},
    {"frontalface_default", "basketball2.png", 5, 30, {{72, 91, 38, 38, 10}}},
    {"frontalface_alt", "basketball1.png", 5, 30, {{70, 89, 44, 44, 20}}},
    {"frontalface_alt2", "basketball1.png", 5, 30, {{71, 90, 44, 44, 23}}},
    {"frontalface_alt2", "basketball2.png", 5, 30, {{71, 88, 44, 44, 16}}},
    {"frontalface_alt_tree", "basketball1.png", 1, 0, {{70, 90, 43, 43, 2}}},
    {"profileface", "basketball1.png", 1, 0, {}},
    {"eye", "graf1.png", 5, 0, {{320, 180, 25, 25, 45}}},
    {"eye", "basketball1.png", 2, 0, {{547, 354, 51, 51, 4}}},
    {"smile",
     "basketball2.png",
     20,
     0,
     {{529, 395, 80, 40, 32}, {129, 9, 111, 55, 207}, {513, 306, 116, 58, 90}}},
    {"upperbody",
     "basketball1.png",
     0,
     0,
     {{568, 163, 57, 47, 1},
      {496, 50, 69, 56, 1},
      {171, 113, 92, 75, 1},
      {175, 113, 92, 75, 1},
      {180, 113, 92, 75, 1},
      {175, 117, 92, 75, 1},
      {175, 110, 101, 83, 1},
      {516, 202, 111, 91, 1},
      {506, 195, 122, 100, 1},
      {512, 195, 122, 100, 1},
      {502, 190, 135, 110, 1}}},
    {"eye_tree_eyeglasses",
     "graf1.png",
     0,
     0,
     {{392, 188, 20, 20, 1}, {317, 179, 24, 24, 1}, {314, 178, 27, 27, 1}, {317, 178, 27, 27, 1}}},
    {"eye_tree_eyeglasses",
     "sudoku.png",
     0,
     0,
     {{398, 53, 22, 22, 1}, {158, 473, 22, 22, 1}, {416, 51, 24, 24, 1}}},
    {"lefteye_2splits", "graf1.png", 0, 0, {{322, 182, 24, 24, 1}, {587, 110, 63, 63, 1}}},
    {"righteye_2splits",
     "graf1.png",
     0,
     0,
     {{319, 177, 24, 24, 1},
      {317, 176, 27, 27, 1},
      {416, 316, 29, 29, 1},
      {345, 551, 57, 57, 1},
      {0, 414, 63, 63, 1}}},
    {"profileface",
     "box_in_scene.png",
     0,
     0,
     {{215, 194, 24, 24, 1},
      {152, 282, 27, 27, 1},
      {325, 187, 29, 29, 1},
      {328, 173, 69, 69, 1},
      {296, 182, 135, 135, 1}}},
    {"frontalcatface_extended",
     "basketball1.png",
     0,
     0,
     {{546, 365, 32, 32, 1}, {49, 86, 51, 51, 1}, {50, 85, 57, 57, 1}, {505, 355, 75, 75, 1}}},
};

}  // namespace

TEST_CASE("published cascades give OpenCV's boxes on the pictures of Debian's opencv-doc") {
  const std::string pictures = "/usr/share/doc/opencv-doc/examples/data/";
  for (const Published& row : kPublished) {
    const std::string file = cascade_path(row.cascade), picture = pictures + row.picture;
    if (!std::filesystem::exists(file) || !std::filesystem::exists(picture)) {
      MESSAGE("SKIPPED, NOT TESTED: no " << file << " or no " << picture
                                         << " (opencv-data, opencv-doc)");
      continue;
    }
    CAPTURE(row.cascade);
    CAPTURE(row.picture);
    vision::HaarOptions options;
    options.min_neighbors = row.min_neighbors;
    options.min_width = options.min_height = row.min_size;
    const auto found = vision::HaarCascade::load(file).detect(vision::load_image(picture), options);
    CHECK(rows(found) == row.boxes);
  }
}

TEST_CASE("pictures of any shape are searched, small ones in vain") {
  const auto cascade = vision::HaarCascade::load((kCorpus / "good_stumps.xml").string());
  const vision::HaarOptions all{.min_neighbors = 0, .min_width = 0, .min_height = 0};
  for (const int channels : {1, 3}) {
    CHECK(cascade.detect(vision::Image(), all).empty());
    for (const auto& [width, height] : {std::pair{1, 1}, {1, 10000}, {10000, 1}, {7, 8}, {8, 7}}) {
      CHECK(cascade.detect(noise(width, height, channels), all).empty());
    }
    for (const auto& [width, height] : {std::pair{8, 8}, {8, 3000}, {3000, 8}, {9, 9}}) {
      for (const auto& d : cascade.detect(noise(width, height, channels), all)) {
        CHECK(d.box.x >= 0);
        CHECK(d.box.y >= 0);
        CHECK(d.box.x + d.box.width <= width);
        CHECK(d.box.y + d.box.height <= height);
      }
    }
  }
  CHECK(cascade.detect(vision::Image(50, 50, 1), all).empty());  // black: nothing to see
  CHECK(!cascade.detect(noise(100, 100, 1), all).empty());
}

TEST_CASE("wrong options and malformed pictures are the caller's fault") {
  const auto cascade = vision::HaarCascade::load((kCorpus / "good_stumps.xml").string());
  const vision::Image image = noise(20, 20, 1);
  for (const double factor : {1.0, 0.5, -2.0, 1.0 + 1e-12, std::nan("")}) {
    CHECK_THROWS_AS(cascade.detect(image, {.scale_factor = factor}), std::invalid_argument);
  }
  vision::Image broken = image;
  broken.pixels.pop_back();
  CHECK_THROWS_AS(cascade.detect(broken), std::invalid_argument);
  CHECK_THROWS_AS(cascade.detect(noise(20, 20, 4)), std::invalid_argument);
}

TEST_CASE("sizes limit the windows") {
  const auto cascade = vision::HaarCascade::load((kCorpus / "good_stumps.xml").string());
  const vision::HaarOptions options{
      .min_neighbors = 0, .min_width = 12, .min_height = 12, .max_width = 20, .max_height = 20};
  const auto found = cascade.detect(noise(90, 70, 1), options);
  CHECK(!found.empty());
  for (const auto& d : found) {
    CHECK(d.box.width >= 12);
    CHECK(d.box.width <= 20);
  }
}

TEST_CASE("the result does not depend on the number of threads") {
  const auto cascade = vision::HaarCascade::load((kCorpus / "good_tree.xml").string());
  const vision::Image image = noise(400, 300, 3);
  const vision::HaarOptions all{.min_neighbors = 0, .min_width = 0, .min_height = 0};
  set_threads(1);
  const auto wanted = rows(cascade.detect(image, all));
  CHECK(wanted.size() > 100);
  for (const int threads : {2, 3, 5}) {
    set_threads(threads);
    CHECK(rows(cascade.detect(image, all)) == wanted);
  }
  set_threads(0);
}

TEST_CASE("a cascade that accepts every window is run on a small picture, refused on a large one") {
  const auto cascade = vision::HaarCascade::parse(R"(<?xml version="1.0"?><opencv_storage>
<cascade type_id="opencv-cascade-classifier"><stageType>BOOST</stageType>
<featureType>HAAR</featureType><height>24</height><width>24</width><stageNum>1</stageNum><stages>
<_><stageThreshold>-1.</stageThreshold><weakClassifiers><_><internalNodes>0 -1 0 1e-2
</internalNodes><leafValues>1. 1.</leafValues></_></weakClassifiers></_></stages><features><_>
<rects><_>0 0 24 24 -1.</_></rects><tilted>0</tilted></_></features></cascade></opencv_storage>)",
                                                  "all.xml");
  Random random{3};
  const auto noise = [&](int side) {
    vision::Image image(side, side, 1);
    for (auto& value : image.pixels) value = static_cast<std::uint8_t>(random.below(256));
    return image;
  };
  CHECK(cascade.detect(noise(300), {.min_width = 0, .min_height = 0}).size() == 1);
  const std::string fault = vision_test::error_of([&] { cascade.detect(noise(2500)); });
  CHECK(fault ==
        "all.xml: the cascade finds more than 1000000 windows in one picture: it accepts nearly "
        "everything");
}
