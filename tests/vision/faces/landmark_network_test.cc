#include "vision/faces/landmark_network.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/vision/faces/saved_model.h"
#include "tests/vision/faces/tiny_landmark_network.h"

using namespace maskwatch;

using namespace tiny_landmark_network;

namespace {

using nlohmann::json;
using vision::Box;
using vision::Image;

std::string fault_with(const std::string& key, const json& value) {
  return fault_of<vision::LandmarkNetwork>(with_detector_field(tiny_network(), key, value));
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
  CHECK_THROWS_AS(network.network_input(image, {20, 0, 5, 5}), std::invalid_argument);
  Image short_of_bytes = image;
  short_of_bytes.pixels.resize(7);
  for (const Image& malformed : {short_of_bytes, Image(20, 20, 2)}) {
    CHECK_THROWS_AS(network.predict(malformed, {0, 0, 5, 5}), std::invalid_argument);
    CHECK_THROWS_AS(network.network_input(malformed, {0, 0, 5, 5}), std::invalid_argument);
  }
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
