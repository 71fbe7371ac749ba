#include "vision/faces/published_ssd.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/data_files.h"
#include "nn/safetensors.h"
#include "tests/vision/faces/saved_model.h"
#include "tests/vision/faces/tiny_detector.h"
#include "vision/faces/face_detector.h"
#include "vision/haar/haar_model.h"

using namespace maskwatch;

namespace {

using nlohmann::json;

const std::vector<int> kRfbStrides{8, 16, 32, 64};
const std::vector<std::vector<float>> kRfbSizes{{10, 16, 24}, {32, 48}, {64, 96}, {128, 192, 256}};

}  // namespace

TEST_CASE("priors of RFB-320 are those of the published program") {
  const auto priors = vision::make_priors(320, 240, kRfbStrides, kRfbSizes);
  REQUIRE(priors.size() == 4420);
  // (40 x 30 cells of 3, 20 x 15 of 2, 10 x 8 of 2, 5 x 4 of 3)
  CHECK(priors[0].x == doctest::Approx(0.5 / 40));
  CHECK(priors[0].y == doctest::Approx(0.5 / 30));
  CHECK(priors[0].width == doctest::Approx(10.0 / 320));
  CHECK(priors[0].height == doctest::Approx(10.0 / 240));
  CHECK(priors[2].width == doctest::Approx(24.0 / 320));
  CHECK(priors[3].x == doctest::Approx(1.5 / 40));
  CHECK(priors[3600].width == doctest::Approx(32.0 / 320));
  CHECK(priors[3600].y == doctest::Approx(0.5 / 15));
  CHECK(priors[4200].y == doctest::Approx(0.5 / 8));
  CHECK(priors[4419].x == doctest::Approx(4.5 / 5));
  CHECK(priors[4419].width == doctest::Approx(256.0 / 320));
  CHECK(priors[4419].height == 1);  // 256 of 240, clipped

  CHECK_THROWS_AS(vision::make_priors(320, 240, kRfbStrides, {{1}}), std::invalid_argument);
  CHECK_THROWS_AS(vision::make_priors(0, 240, kRfbStrides, kRfbSizes), std::invalid_argument);
  CHECK_THROWS_AS(vision::make_priors(320, 240, std::vector<int>{0}, {{1}}), std::invalid_argument);
}

TEST_CASE("boxes are decoded about their priors") {
  const std::vector<vision::CenterBox> priors{{0.5f, 0.25f, 0.2f, 0.1f}, {0.5f, 0.5f, 1, 1}};
  const std::vector<float> encoded{0, 0, 0, 0, 2, -1, 5 * std::log(2.0f), 5 * std::log(0.5f)};
  const auto boxes = vision::decode_boxes(encoded, priors);
  REQUIRE(boxes.size() == 2);
  CHECK(boxes[0].x == doctest::Approx(0.4));
  CHECK(boxes[0].y == doctest::Approx(0.2));
  CHECK(boxes[0].width == doctest::Approx(0.2));
  CHECK(boxes[0].height == doctest::Approx(0.1));
  CHECK(boxes[1].x == doctest::Approx(0.7 - 1));
  CHECK(boxes[1].y == doctest::Approx(0.4 - 0.25));
  CHECK(boxes[1].width == doctest::Approx(2));
  CHECK(boxes[1].height == doctest::Approx(0.5));
  CHECK_THROWS_AS(vision::decode_boxes(std::vector<float>(7), priors), std::invalid_argument);
}

TEST_CASE("a detector finds what its network scores, in pixels of the picture") {
  const SavedModel saved(tiny_detector());
  vision::PublishedSsd detector(saved.path());
  // 32 x 16 pixels are scored at (0, 0) and (16, 0): the left half white, the right half black.
  for (const int channels : {3, 1}) {
    vision::Image image(64, 48, channels);
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < 32; ++x)
        for (int c = 0; c < channels; ++c) image.at(x, y)[c] = 255;
    const auto faces = detector.detect(image);
    REQUIRE(faces.size() == 1);
    CHECK(faces[0].box.x == doctest::Approx(0));
    CHECK(faces[0].box.width == doctest::Approx(32));
    CHECK(faces[0].box.height == doctest::Approx(48));
    CHECK(faces[0].score == doctest::Approx(1 / (1 + std::exp(-8.0))));
    CHECK(detector.detect(image, {.confidence = 0.9999f}).empty());
    const auto all = detector.detect(image, {.confidence = 0});
    REQUIRE(all.size() == 2);
    CHECK(all[1].box.x + all[1].box.width == doctest::Approx(64));  // 67.2, cut off at the edge
  }
  CHECK_THROWS_AS(detector.detect(vision::Image()), std::invalid_argument);
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 4000}, {4000, 1}})
    CHECK(detector.detect(vision::Image(width, height)).empty());
}

TEST_CASE("the network alone: its input, its scores and its boxes") {
  const SavedModel saved(tiny_detector());
  vision::PublishedSsd detector(saved.path());
  vision::Image image(64, 48);
  for (int y = 0; y < image.height; ++y) std::fill_n(image.row(y), 32 * 3, std::uint8_t{255});
  const std::vector<float> input = detector.network_input(image);
  REQUIRE(input.size() == 16 * 32 * 3);
  CHECK(input.front() == 1);
  CHECK(input.back() == doctest::Approx(-127 / 128.0));
  const auto raw = detector.run(input);
  REQUIRE(raw.scores.size() == 4);
  CHECK(raw.scores[1] == doctest::Approx(1 / (1 + std::exp(-8.0))));
  CHECK(raw.scores[3] < .001f);
  const auto boxes = detector.decode(raw.boxes);
  REQUIRE(boxes.size() == 2);
  CHECK(boxes[0].width == doctest::Approx(.5));
  CHECK(boxes[1].x == doctest::Approx(.45));
  CHECK_THROWS_AS(detector.run(std::span(input).first(5)), std::invalid_argument);
  CHECK_THROWS_AS(detector.decode(raw.boxes.first(4)), std::invalid_argument);
  CHECK_THROWS_AS(detector.network_input(vision::Image()), std::invalid_argument);
}

TEST_CASE("a letterboxed detector gives boxes of the picture, not of its input") {
  nn::Safetensors contents = tiny_detector();
  json form = json::parse(contents.metadata["detector"]);
  form["resize"] = "letterbox_top_left";
  contents.metadata["detector"] = form.dump();
  const SavedModel saved(contents);
  vision::PublishedSsd detector(saved.path());
  vision::Image white(40, 40);  // takes 16 x 16 of the 32 x 16: the first prior, scaled by 2.5
  std::fill(white.pixels.begin(), white.pixels.end(), std::uint8_t{255});
  const auto faces = detector.detect(white);
  REQUIRE(faces.size() == 1);
  CHECK(faces[0].box.width == doctest::Approx(40));
  CHECK(faces[0].box.height == doctest::Approx(40));
}

TEST_CASE("a detail can be asked of cascades and of detectors trained here, not of these") {
  const SavedModel published(tiny_detector());
  CHECK_FALSE(vision::make_face_detector(published.path(), .5f, 0)->heeds_detail());
  CHECK_FALSE(vision::make_face_detector("none")->heeds_detail());
  if (find_data_file("models/face_detector.safetensors"))
    CHECK(vision::make_face_detector("ours")->heeds_detail());
  if (vision::find_haar_cascade("haarcascade_frontalface_alt2.xml"))
    CHECK(vision::make_face_detector("haar")->heeds_detail());
  CHECK_THROWS_AS(vision::make_face_detector("none", .5f, -1), std::invalid_argument);
}

TEST_CASE("a broken detector file is an error that names the file and its fault") {
  CHECK(fault_of<vision::PublishedSsd>(tiny_detector()) == "nothing was thrown");
  const auto with = [](const char* key, const json& value) {
    return fault_of<vision::PublishedSsd>(with_detector_field(tiny_detector(), key, value));
  };
  for (const char* key : {"kind", "input_size", "order", "mean", "scale", "resize", "outputs",
                          "face_class", "priors", "coding", "variances"}) {
    CAPTURE(key);
    CHECK(with(key, nullptr).find(key) != std::string::npos);
    CHECK(with(key, "x") != "nothing was thrown");
    CHECK(with(key, {1e300}) != "nothing was thrown");
  }
  CHECK(with("input_size", {1e9, 1e9}).find("out of range") != std::string::npos);
  CHECK(with("input_size", {64, 16}).find("2 priors") != std::string::npos);
  CHECK(with("face_class", 2).find("face_class 2 of 2 classes") != std::string::npos);
  CHECK(with("face_class", -1)
            .find("metadata \"detector\": face_class is not a whole number from 0") !=
        std::string::npos);

  nn::Safetensors lost = tiny_detector();
  lost.tensors.erase("priors");
  CHECK(fault_of<vision::PublishedSsd>(lost).find("priors is missing") != std::string::npos);
  lost = tiny_detector();
  lost.tensors["priors"] = nn::Tensor::zeros({8});
  CHECK(fault_of<vision::PublishedSsd>(lost).find("[8]") != std::string::npos);
  lost = tiny_detector();
  lost.metadata["detector"] = "[";
  CHECK(fault_of<vision::PublishedSsd>(lost).find("metadata \"detector\": is not JSON") !=
        std::string::npos);
  lost.metadata.erase("detector");
  CHECK(fault_of<vision::PublishedSsd>(lost).find("metadata \"detector\" is missing") !=
        std::string::npos);
}
