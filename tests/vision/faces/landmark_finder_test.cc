#include "vision/faces/landmark_finder.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "base/file.h"
#include "tests/vision/faces/saved_model.h"
#include "tests/vision/faces/small_predictor.h"
#include "tests/vision/faces/tiny_landmark_network.h"

using namespace maskwatch;

using namespace tiny_landmark_network;
using vision::Box;
using vision::Image;

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

TEST_CASE(
    "landmark finder: of every kind, refuses boxes outside the picture and malformed pictures") {
  const SavedModel network(tiny_network());
  const std::string trees = network.path() + ".dat";
  write_file_atomically(trees, small_predictor::predictor_bytes());
  for (const std::string& file : {network.path(), trees}) {
    CAPTURE(file);
    const auto finder = vision::make_landmark_finder(file);
    const Image image = picture_of(200, 150);
    CHECK_NOTHROW(finder->find(image, {60, 40, 50, 50}));
    for (const Box outside : {Box{210, 40, 50, 50}, Box{60, -60, 50, 50}, Box{60, 40, 0, 50}})
      CHECK_THROWS_AS(finder->find(image, outside), std::invalid_argument);
    Image short_of_bytes = image;
    short_of_bytes.pixels.resize(7);
    CHECK_THROWS_AS(finder->find(short_of_bytes, {60, 40, 50, 50}), std::invalid_argument);
    CHECK_THROWS_AS(finder->find(Image(), {60, 40, 50, 50}), std::invalid_argument);
  }
  std::filesystem::remove(trees);
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
