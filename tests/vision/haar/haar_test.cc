#include "vision/haar/haar.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/parallel.h"

#include "vision/image/image.h"

using namespace maskwatch;

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

std::string cascade_path(const std::string& name) {
  return "/usr/share/opencv4/haarcascades/haarcascade_" + name + ".xml";
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

// What the message must say for each broken file; the good ones load.
const std::map<std::string, std::string> kFaults = {
    {"categorical", "categorical"},
    {"child_missing", "child 5 does not exist"},
    {"cycle_pair", "cycle"},
    {"cycle_self", "cycle"},
    {"empty_features", "no features"},
    {"empty_file", "not well-formed XML"},
    {"empty_stages", "no stages"},
    {"feature_missing", "feature 7 does not exist"},
    {"feature_negative", "feature -1 does not exist"},
    {"good_odd_weights", ""},
    {"good_stumps", ""},
    {"good_tilted", ""},
    {"good_tree", ""},
    {"lbp_features", "LBP"},
    {"leaf_missing", "child -2 does not exist"},
    {"leaves_too_few", "1 leaves for 1 nodes"},
    {"no_cascade", "no opencv-cascade-classifier"},
    {"no_features", "<features>"},
    {"no_leaves", "<leafValues>"},
    {"no_stages", "<stages>"},
    {"no_width", "<width>"},
    {"node_cut_short", "3 numbers in its nodes"},
    {"not_xml", "not well-formed XML"},
    {"old_form", "opencv-haar-classifier"},
    {"other_boost", "SVM"},
    {"other_root", "<opencv_storage>"},
    {"rect_negative", "outside the window"},
    {"rect_outside", "outside the window"},
    {"rect_overflow", "outside the window"},
    {"rect_short", "4 numbers"},
    {"rects_four", "4 rectangles"},
    {"rects_none", "0 rectangles"},
    {"stage_count", "stageNum"},
    {"stage_without_threshold", "<stageThreshold>"},
    {"stage_without_trees", "stage 0 has no trees"},
    {"threshold_beyond_float", "1e300"},
    {"threshold_huge", "1e999"},
    {"threshold_nan", "nan"},
    {"threshold_words", "high"},
    {"tilted_outside", "outside the window"},
    {"too_many_nodes", "260 numbers in its nodes"},
    {"truncated", "not well-formed XML"},
    {"weight_beyond_float", "-1e300"},
    {"window_beyond_int", "1e300"},
    {"window_fraction", "whole number"},
    {"window_huge", "whole number"},
    {"window_negative", "width is -8"},
};

const std::filesystem::path kCorpus = "tests/vision/haar/haar_corpus";

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The message of the std::runtime_error that `body` throws; empty where it throws none.
template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
    return {};
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

std::string load_error(const std::string& file) {
  return error_of([&] { vision::HaarCascade::load(file); });
}

std::string parse_error(const std::string& xml) {
  return error_of([&] { vision::HaarCascade::parse(xml, "some.xml"); });
}

vision::Image noise(int width, int height, int channels) {
  std::mt19937 random(7);
  vision::Image image(width, height, channels);
  for (auto& value : image.pixels) value = static_cast<std::uint8_t>(random());
  return image;
}

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

TEST_CASE("every face and eye cascade of opencv-data loads") {
  int loaded = 0;
  for (const char* name :
       {"eye", "eye_tree_eyeglasses", "frontalcatface", "frontalcatface_extended",
        "frontalface_alt", "frontalface_alt2", "frontalface_alt_tree", "frontalface_default",
        "lefteye_2splits", "profileface", "righteye_2splits"}) {
    if (!std::filesystem::exists(cascade_path(name))) {
      MESSAGE("SKIPPED, NOT TESTED: no " << cascade_path(name) << " (opencv-data)");
      continue;
    }
    CAPTURE(name);
    CHECK(load_error(cascade_path(name)) == "");
    ++loaded;
  }
  MESSAGE(loaded << " cascades loaded");
}

TEST_CASE("broken cascades are refused by name and fault") {
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    const std::string file = entry.path().string(), name = entry.path().stem().string();
    CAPTURE(file);
    REQUIRE(kFaults.contains(name));
    const std::string fault = kFaults.at(name), error = load_error(file);
    ++seen;
    if (fault.empty()) {
      CHECK(error == "");
      continue;
    }
    CHECK(error.find(file) != std::string::npos);
    CHECK(error.find(fault) != std::string::npos);
  }
  CHECK(seen == kFaults.size());
  CHECK(load_error("no/such/cascade.xml").find("no/such/cascade.xml") != std::string::npos);
  CHECK(load_error(kCorpus.string()).find(kCorpus.string()) != std::string::npos);
}

TEST_CASE("a cascade cut at any byte is refused") {
  const std::string whole = read_text(kCorpus / "good_tree.xml");
  REQUIRE(parse_error(whole) == "");
  const std::size_t end = whole.rfind('>');
  for (std::size_t length = 0; length <= end; ++length) {
    CAPTURE(length);
    CHECK(parse_error(whole.substr(0, length)).find("some.xml: ") == 0);
  }
}

TEST_CASE("damaged cascades load or are refused, and never harm") {
  std::mt19937 random(11);
  const std::string swaps = "0123456789-.<>/_e \n";
  const char* names[] = {"good_tree.xml", "good_tilted.xml", "good_odd_weights.xml"};
  const vision::Image image = noise(40, 30, 1);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string xml = read_text(kCorpus / names[round % 3]);
    for (int hit = 0; hit < 1 + round % 4; ++hit) {
      xml[random() % xml.size()] = swaps[random() % swaps.size()];
    }
    const std::string error = error_of([&] {
      vision::HaarCascade::parse(xml, "some.xml").detect(image, {.min_width = 0, .min_height = 0});
    });
    if (error.empty()) continue;
    ++refused;
    CHECK(error.find("some.xml: ") == 0);
  }
  CHECK(refused > 300);
  CHECK(refused < 3000);
}

TEST_CASE("XML of a million nested elements is refused") {
  std::string deep = "<opencv_storage>";
  for (int i = 0; i < 1000000; ++i) deep += "<_>";
  CHECK(parse_error(deep) != "");
  for (int i = 0; i < 1000000; ++i) deep += "</_>";
  CHECK(parse_error(deep + "</opencv_storage>") != "");
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
