#include "vision/faces/landmark_network.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "nn/safetensors.h"
#include "tests/vision/faces/saved_model.h"
#include "vision/faces/landmark_finder.h"

using namespace maskwatch;

namespace {

using nlohmann::json;
using vision::Box;
using vision::Image;

float share(int i) { return static_cast<float>(i + 1) / 256; }

// Its 68 points are always in the same places of its input, plus the mean of what it sees, red, for
// the first number.
nn::Safetensors tiny_network() {
  nn::Safetensors contents;
  contents.metadata["graph"] =
      json::array({{{"op", "average_pool"}, {"inputs", {"input"}}, {"output", "mean"}},
                   {{"op", "dense"},
                    {"inputs", {"mean"}},
                    {"output", "points"},
                    {"weight", "w"},
                    {"bias", "b"}}})
          .dump();
  contents.metadata["detector"] = json{
      {"kind", "landmarks"},
      {"input_size", {32, 16}},
      {"order", "rgb"},
      {"mean", {10.0, 20.0, 30.0}},
      {"scale", {0.5, 0.25, 0.125}},
      {"resize", "letterbox_center"},
      {"outputs", {{"points", "points"}}},
      {"coding", "xy_share"},
      {"points", 68}}.dump();
  const nn::Tensor weight = nn::Tensor::zeros({3, 136}), bias = nn::Tensor::zeros({136});
  weight.data()[0] = 1;
  for (int i = 0; i < 136; ++i) bias.data()[i] = share(i);
  contents.tensors = {{"w", weight}, {"b", bias}};
  return contents;
}

Image picture_of(int width, int height, int channels = 3) {
  Image image(width, height, channels);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(40 + i % static_cast<std::size_t>(channels) * 60);
  return image;
}

std::string fault_with(const std::string& key, const json& value) {
  nn::Safetensors contents = tiny_network();
  json form = json::parse(contents.metadata["detector"]);
  if (value.is_null())
    form.erase(key);
  else
    form[key] = value;
  contents.metadata["detector"] = form.dump();
  return fault_of<vision::LandmarkNetwork>(contents);
}

}  // namespace

TEST_CASE("landmark network: the face lies in the middle of the input, black around it") {
  const SavedModel saved(tiny_network());
  const vision::LandmarkNetwork network(saved.path());
  const Image image = picture_of(60, 50);
  // 20 x 20 of the picture become 16 x 16 of the input, with 8 columns of black on each side.
  const auto input = network.network_input(image, {10, 10, 20, 20});
  REQUIRE(input.size() == 32 * 16 * 3);
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 32; ++x) {
      const float* pixel = &input[static_cast<std::size_t>(3 * (32 * y + x))];
      const bool face = x >= 8 && x < 24;
      CHECK(pixel[0] == ((face ? 40 : 0) - 10) * .5f);
      CHECK(pixel[1] == ((face ? 100 : 0) - 20) * .25f);
      CHECK(pixel[2] == ((face ? 160 : 0) - 30) * .125f);
    }
  // A grey picture gives its one value to all channels.
  const auto grey = network.network_input(picture_of(60, 50, 1), {10, 10, 20, 20});
  CHECK(grey[3 * 8] == 15);
  CHECK(grey[3 * 8 + 2] == 1.25f);
}

TEST_CASE("landmark network: points are put back into the picture") {
  const SavedModel saved(tiny_network());
  vision::LandmarkNetwork network(saved.path());
  const Image image = picture_of(60, 50);
  const auto points = network.predict(image, {10, 12, 20, 20});
  for (int i = 1; i < 68; ++i) {
    CHECK(points[static_cast<std::size_t>(i)].x ==
          doctest::Approx(10 + (share(2 * i) * 32 - 8) * 20 / 16));
    CHECK(points[static_cast<std::size_t>(i)].y == doctest::Approx(12 + share(2 * i + 1) * 20));
  }
  // Half of the input is the face with 15 of red, half is black with -5.
  CHECK(points[0].x == doctest::Approx(10 + ((share(0) + 5) * 32 - 8) * 20 / 16));

  // Only what lies inside the picture is seen: 10 x 20 at its right edge.
  const auto cut = network.predict(image, {50, 12, 40, 20});
  CHECK(cut[1].x == doctest::Approx(50 + (share(2) * 32 - 12) * 10 / 8));
  CHECK(cut[1].y == doctest::Approx(12 + share(3) * 16 * 20 / 16));
}

TEST_CASE("landmark network: pictures and boxes out of the ordinary") {
  const SavedModel saved(tiny_network());
  vision::LandmarkNetwork network(saved.path());
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 10000}, {10000, 1}, {3, 2}}) {
    const auto points = network.predict(
        picture_of(width, height), {0, 0, static_cast<float>(width), static_cast<float>(height)});
    for (const vision::Point& p : points) CHECK(std::isfinite(p.x + p.y));
  }
  const Image image = picture_of(20, 20);
  CHECK_THROWS_AS(network.predict(image, {20, 0, 5, 5}), std::invalid_argument);
  CHECK_THROWS_AS(network.predict(image, {0, 0, 0, 5}), std::invalid_argument);
  CHECK_THROWS_AS(network.predict(image, {std::nanf(""), 0, std::nanf(""), 5}),
                  std::invalid_argument);
  CHECK_THROWS_AS(network.predict(Image(), {0, 0, 5, 5}), std::invalid_argument);
  CHECK_THROWS_AS(network.run(std::vector<float>(7)), std::invalid_argument);
}

TEST_CASE("landmark network: a file that says what is not so is refused") {
  CHECK(fault_with("kind", "boxes").find("its kind is boxes") != std::string::npos);
  CHECK(fault_with("points", 5).find("points is not 68") != std::string::npos);
  CHECK(fault_with("points", 1e300).find("points") != std::string::npos);
  CHECK(fault_with("points", nullptr).find("points is missing") != std::string::npos);
  CHECK(fault_with("coding", "polar").find("coding is not \"xy_share\"") != std::string::npos);
  CHECK(fault_with("resize", "fold").find("resize is unknown: \"fold\"") != std::string::npos);
  CHECK(fault_with("order", "bgr").find("order is not \"rgb\"") != std::string::npos);
  CHECK(fault_with("mean", json::array({1, 2})).find("mean") != std::string::npos);
  CHECK(fault_with("outputs", "points").find("outputs is not an object") != std::string::npos);
  CHECK(fault_with("outputs", json{{"points", "nowhere"}}).find("nowhere") != std::string::npos);
  CHECK(fault_with("outputs", json{{"points", "mean"}}).find("not 136") != std::string::npos);
  for (const json& size : {json{0, 16}, json{-32, 16}, json{1e9, 1e9}, json{32.5, 16}, json{32}})
    CHECK(fault_with("input_size", size).find("input_size") != std::string::npos);

  nn::Safetensors contents = tiny_network();
  contents.tensors["w"] = nn::Tensor::zeros({4, 136});
  CHECK(fault_of<vision::LandmarkNetwork>(contents).find("layer points") != std::string::npos);
  contents = tiny_network();
  contents.metadata.erase("detector");
  CHECK(fault_of<vision::LandmarkNetwork>(contents).find("metadata \"detector\" is missing") !=
        std::string::npos);
  contents = tiny_network();
  contents.metadata.erase("graph");
  CHECK(fault_of<vision::LandmarkNetwork>(contents).find("metadata \"graph\" is missing") !=
        std::string::npos);
}

TEST_CASE("landmark finder: by name, by file, and what it refuses") {
  const SavedModel saved(tiny_network());
  const auto finder = vision::make_landmark_finder(saved.path());
  CHECK(finder->name().starts_with("network ("));
  CHECK(finder->licence().empty());
  // Wherever it looks, the points lie alike in the box: they move with it, and hold nothing.
  const Image image = picture_of(200, 150);
  const auto fit = finder->find(image, {60, 40, 50, 50});
  CHECK(fit.spread > 0);
  CHECK(finder->copy()->find(image, {60, 40, 50, 50}).spread == fit.spread);
  for (const Box face : {Box{-30, -30, 60, 60}, Box{190, 140, 60, 60}, Box{0, 0, 1, 1}})
    CHECK_NOTHROW(finder->find(image, face));

  CHECK_THROWS_AS(vision::make_landmark_finder("eyes"), std::invalid_argument);
  CHECK_THROWS_AS(vision::make_landmark_finder("missing.dat"), std::runtime_error);
  CHECK_THROWS_AS(vision::make_landmark_finder("missing.safetensors"), std::runtime_error);
}

TEST_CASE("landmark finder: weights that are no numbers hold no face") {
  nn::Safetensors contents = tiny_network();
  contents.tensors["b"].data()[4] = std::numeric_limits<float>::quiet_NaN();
  contents.tensors["b"].data()[7] = std::numeric_limits<float>::infinity();
  const SavedModel saved(contents);
  const auto finder = vision::make_landmark_finder(saved.path());
  CHECK_FALSE(finder->holds(finder->find(picture_of(200, 150), {60, 40, 50, 50})));
}

TEST_CASE("box_about: a square about the points, by their spread") {
  vision::Landmarks points;
  for (std::size_t i = 0; i < points.size(); ++i)
    points[i] = {i % 2 ? 40.f : 60.f, i / 2 % 2 ? 90.f : 110.f};
  const Box box = vision::box_about(points, 2, .5f);
  const float spread = std::sqrt(200.f);
  CHECK(box.width == doctest::Approx(2 * spread));
  CHECK(box.height == doctest::Approx(2 * spread));
  CHECK(box.x == doctest::Approx(50 - spread));
  CHECK(box.y == doctest::Approx(100 - 1.5f * spread));
}
