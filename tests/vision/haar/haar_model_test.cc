#include "vision/haar/haar_model.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include "tests/vision/haar/cascade_files.h"
#include "tests/vision/support.h"
#include "vision/haar/haar.h"

using namespace maskwatch;

using namespace cascade_files;
using namespace vision_test;

namespace {

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

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string load_error(const std::string& file) {
  return error_of([&] { vision::HaarCascade::load(file); });
}

std::string parse_error(const std::string& xml) {
  return error_of([&] { vision::HaarCascade::parse(xml, "some.xml"); });
}

}  // namespace

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

TEST_CASE("Haar cascades are found where Debian installs them, by their file name alone") {
  CHECK(vision::find_haar_cascade("no_such_cascade.xml") == std::nullopt);
  CHECK(vision::find_haar_cascade("") == std::nullopt);
  const auto frontal = vision::find_haar_cascade("haarcascade_frontalface_alt2.xml");
  if (!frontal) {
    MESSAGE("opencv-data is not installed");
    return;
  }
  CHECK(std::filesystem::path(*frontal).is_absolute());
  CHECK(std::filesystem::is_regular_file(*frontal));
}
