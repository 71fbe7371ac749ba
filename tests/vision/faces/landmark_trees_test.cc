#include "vision/faces/landmark_trees.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/vision/faces/small_predictor.h"

using namespace maskwatch;

using namespace small_predictor;
using vision::Box;
using vision::Image;
using vision::LandmarkPredictor;
using vision::Landmarks;

TEST_CASE("landmarks: trees move the points as their leaves say") {
  const auto predictor = LandmarkPredictor::parse(predictor_bytes(), "small.dat");
  struct Case {
    int bright;
    float x, y;
  };
  for (const Case c : {Case{0, 20, 30}, Case{10, 20, 30}, Case{11, 42.5f, 30}, Case{101, 42.5f, 0}})
    for (const int channels : {1, 3}) {
      CAPTURE(c.bright);
      Image image = flat(200, 150, channels, 0);
      std::fill_n(image.at(20, 30), channels, static_cast<std::uint8_t>(c.bright));
      const Landmarks points = predictor.predict(image, kBox);
      CHECK(points[0].x == doctest::Approx(c.x));
      CHECK(points[0].y == doctest::Approx(c.y));
      CHECK(points[67].x == doctest::Approx(c.x + 70));
      CHECK(points[67].y == doctest::Approx(c.y + 60));
    }
}

TEST_CASE("landmarks: the other pixel lies beside its anchor, and grey is the mean of r, g and b") {
  const auto predictor = LandmarkPredictor::parse(predictor_bytes(), "small.dat");
  Image image = flat(200, 150, 3, 200);
  CHECK(predictor.predict(image, kBox)[0].x == doctest::Approx(20));
  std::uint8_t* beside = image.at(31, 90);            // 20 + 11.25, 90
  beside[0] = 255, beside[1] = 189, beside[2] = 127;  // 571 / 3 = 190.3: not darker by more than 10
  CHECK(predictor.predict(image, kBox)[0].x == doctest::Approx(20));
  beside[2] = 125;  // 189.7, cut to 189
  CHECK(predictor.predict(image, kBox)[0].x == doctest::Approx(42.5));
}

TEST_CASE("landmarks: what lies outside the picture is black") {
  const auto predictor = LandmarkPredictor::parse(predictor_bytes(), "small.dat");
  // Point 0 inside, the other pixel below the picture.
  CHECK(predictor.predict(flat(100, 90, 3, 50), kBox)[0].x == doctest::Approx(42.5));
  CHECK(predictor.predict(flat(100, 91, 3, 50), kBox)[0].x == doctest::Approx(20));
  // Wholly outside.
  CHECK(predictor.predict(flat(10, 10, 3, 255), kBox)[0].x == doctest::Approx(20));
  CHECK(predictor.predict(flat(10, 10, 3, 255), {-500, -400, 91, 61})[0].x ==
        doctest::Approx(-500));
}

TEST_CASE("landmarks: tiny pictures and boxes, far and thin ones") {
  const auto predictor = LandmarkPredictor::parse(predictor_bytes(), "small.dat");
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 5000}, {5000, 1}, {3, 2}})
    for (const Box box : {Box{0, 0, 1, 1}, Box{-3, 0, .25f, 9000}, Box{0, 0, 5000, 5000},
                          Box{1e7f, -1e7f, 1e7f, 1e7f}})
      for (const int channels : {1, 3})
        CHECK(finite(predictor.predict(flat(width, height, channels, 99), box)));
}
