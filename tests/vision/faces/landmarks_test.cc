#include "vision/faces/landmarks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/vision/faces/small_predictor.h"
#include "vision/image/image.h"

using namespace maskwatch;

using namespace small_predictor;
using vision::Box;
using vision::Image;
using vision::LandmarkPredictor;
using vision::Landmarks;

namespace {

// Of whole pixels, as dlib gives them.
using WholePoints = std::vector<std::pair<int, int>>;

double mean_distance(const Landmarks& points, const WholePoints& dlib) {
  REQUIRE(dlib.size() == points.size());
  double sum = 0;
  for (std::size_t i = 0; i < points.size(); ++i)
    sum += std::hypot(std::floor(points[i].x + .5f) - dlib[i].first,
                      std::floor(points[i].y + .5f) - dlib[i].second);
  return sum / points.size();
}

}  // namespace

TEST_CASE("landmarks: wrong arguments are named") {
  const auto predictor = LandmarkPredictor::parse(predictor_bytes(), "small.dat");
  const Image image = flat(20, 20, 3, 0);
  const float nan = std::nanf(""), inf = INFINITY;
  for (const Box box : {Box{0, 0, 0, 5}, Box{0, 0, 5, -1}, Box{nan, 0, 5, 5}, Box{0, 0, inf, 5},
                        Box{0, 0, 5, nan}, Box{1e9f, 0, 5, 5}})
    CHECK_THROWS_AS(predictor.predict(image, box), std::invalid_argument);
  CHECK_THROWS_AS(predictor.predict(Image{}, kBox), std::invalid_argument);
  CHECK_THROWS_AS(predictor.predict(Image(4, 4, 2), kBox), std::invalid_argument);
  Image damaged = image;
  damaged.pixels.resize(7);
  CHECK_THROWS_WITH_AS(predictor.predict(damaged, kBox),
                       "LandmarkPredictor::predict: picture of 20x20 with 3 channels and 7 bytes; "
                       "wants 1 or 3 channels",
                       std::invalid_argument);
}

TEST_CASE("landmarks: spread is a share of the box, and points are those of the box itself") {
  const auto predictor = LandmarkPredictor::parse(predictor_bytes(), "small.dat");
  const Image image = flat(900, 900, 1, 0);  // nothing moves: only the boxes differ
  const auto small = vision::fit_landmarks(predictor, image, {100, 100, 100, 100});
  const auto large = vision::fit_landmarks(predictor, image, {50, 100, 400, 400});
  CHECK(small.spread > .05);
  CHECK(small.spread < .1);
  CHECK(large.spread == doctest::Approx(small.spread).epsilon(.02));
  const Landmarks points = predictor.predict(image, {50, 100, 400, 400});
  CHECK(large.points[67].x == points[67].x);
  CHECK(large.points[67].y == points[67].y);
}

TEST_CASE("landmarks: names") {
  Landmarks points;
  for (std::size_t i = 0; i < points.size(); ++i) points[i] = {float(i), float(2 * i)};
  CHECK(vision::points_of(points, vision::landmarks::right_eye).front().x == 36);
  CHECK(vision::points_of(points, vision::landmarks::left_eye).back().x == 47);
  std::vector<int> uses(68);
  for (const auto& line : vision::landmarks::lines)
    for (std::size_t i = 0; i < line.range.count; ++i) ++uses[line.range.first + i];
  CHECK(std::count(uses.begin(), uses.end(), 1) == 68);
}

TEST_CASE("landmarks: dlib's points on a picture of Debian's opencv-doc") {
  const std::string file(vision::kDlibLandmarkFile);
  const std::string picture = "/usr/share/doc/opencv-doc/examples/data/messi5.jpg";
  if (!std::filesystem::exists(file) || !std::filesystem::exists(picture)) {
    MESSAGE("SKIPPED, NOT TESTED: " << file << " or " << picture
                                    << " is not there (libdlib-data, opencv-doc)");
    return;
  }
  const std::clock_t start = std::clock();
  const auto predictor = LandmarkPredictor::load(file);
  const double seconds = double(std::clock() - start) / CLOCKS_PER_SEC;
  MESSAGE("trees loaded in " << seconds << " s of processor time");

  // bench/peers/landmarks_dlib.py --print PICTURE 224 94 38 38 (dlib 20.0.1)
  const WholePoints dlib{
      {226, 105}, {225, 110}, {226, 115}, {227, 120}, {229, 124}, {232, 128}, {236, 131},
      {241, 133}, {245, 133}, {249, 131}, {251, 128}, {252, 124}, {254, 120}, {255, 116},
      {256, 113}, {256, 109}, {256, 106}, {233, 105}, {236, 104}, {239, 105}, {242, 105},
      {244, 106}, {249, 106}, {250, 105}, {252, 103}, {253, 102}, {255, 103}, {247, 108},
      {247, 111}, {248, 114}, {248, 117}, {244, 118}, {245, 119}, {247, 120}, {249, 119},
      {250, 117}, {237, 108}, {238, 108}, {240, 108}, {242, 108}, {240, 109}, {238, 109},
      {249, 108}, {250, 107}, {251, 107}, {252, 107}, {252, 108}, {250, 108}, {240, 123},
      {242, 122}, {245, 121}, {247, 122}, {248, 121}, {249, 121}, {250, 122}, {249, 125},
      {248, 126}, {246, 127}, {245, 127}, {242, 126}, {241, 123}, {245, 123}, {246, 123},
      {248, 123}, {249, 122}, {248, 124}, {246, 125}, {245, 125}};
  const Landmarks points = predictor.predict(vision::load_image(picture), {224, 94, 38, 38});
  // Decoders of JPEG differ by a grey level here and there, which turns some branches of the trees.
  CHECK(mean_distance(points, dlib) <= .5);

  const Image photograph = vision::load_image(picture);
  constexpr float kFaceSpread = .03f;
  CHECK(vision::fit_landmarks(predictor, photograph, {224, 94, 38, 38}).spread < kFaceSpread);
  for (const Box box : {Box{340, 60, 60, 60}, Box{40, 150, 80, 80}, Box{440, 220, 90, 90}})
    CHECK(vision::fit_landmarks(predictor, photograph, box).spread > kFaceSpread);
}

TEST_CASE("landmarks: dlib's points, to the pixel, on a computed picture") {
  const std::string file(vision::kDlibLandmarkFile);
  if (!std::filesystem::exists(file)) {
    MESSAGE("SKIPPED, NOT TESTED: " << file << " is not there (libdlib-data)");
    return;
  }
  Image image(200, 150);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      image.at(x, y)[0] = static_cast<std::uint8_t>((x * x + 3 * y) % 256);
      image.at(x, y)[1] = static_cast<std::uint8_t>(x * y / 7 % 256);
      image.at(x, y)[2] = static_cast<std::uint8_t>((5 * x + y * y / 3) % 256);
    }
  const auto predictor = LandmarkPredictor::load(file);
  // bench/peers/landmarks_dlib.py --print formula X Y WIDTH HEIGHT (dlib 20.0.1), for two boxes.
  const WholePoints inside{
      {48, 68},  {48, 78},   {51, 88},   {56, 97},   {61, 105}, {69, 113}, {79, 118}, {88, 122},
      {99, 121}, {109, 118}, {119, 112}, {126, 104}, {132, 95}, {136, 84}, {136, 74}, {135, 64},
      {134, 54}, {50, 53},   {52, 47},   {58, 43},   {66, 39},  {74, 39},  {86, 38},  {94, 35},
      {103, 35}, {111, 38},  {118, 44},  {82, 50},   {82, 54},  {82, 58},  {83, 62},  {77, 73},
      {82, 73},  {86, 73},   {91, 71},   {96, 69},   {58, 60},  {62, 56},  {67, 55},  {73, 57},
      {67, 59},  {62, 60},   {96, 53},   {100, 51},  {105, 50}, {110, 52}, {106, 54}, {101, 54},
      {72, 92},  {76, 85},   {82, 81},   {87, 81},   {91, 79},  {100, 82}, {110, 86}, {103, 94},
      {95, 98},  {90, 98},   {85, 99},   {78, 97},   {75, 91},  {83, 86},  {88, 85},  {92, 84},
      {107, 86}, {93, 92},   {89, 94},   {84, 94}};
  const WholePoints partly_outside{
      {-32, 82}, {-34, 99}, {-34, 117}, {-33, 137}, {-29, 156}, {-23, 175}, {-14, 192}, {-2, 205},
      {14, 209}, {30, 206}, {46, 197},  {59, 184},  {69, 171},  {78, 157},  {85, 139},  {90, 121},
      {95, 100}, {-24, 71}, {-13, 69},  {-3, 73},   {5, 78},    {12, 84},   {36, 83},   {48, 79},
      {59, 75},  {71, 76},  {83, 81},   {21, 98},   {18, 113},  {16, 127},  {13, 143},  {2, 144},
      {7, 149},  {13, 152}, {22, 149},  {29, 146},  {-15, 93},  {-8, 91},   {0, 93},    {8, 98},
      {-1, 100}, {-9, 99},  {40, 100},  {49, 95},   {58, 96},   {65, 99},   {58, 103},  {49, 103},
      {-4, 168}, {2, 166},  {10, 165},  {14, 167},  {20, 166},  {28, 167},  {36, 171},  {29, 176},
      {20, 182}, {14, 183}, {9, 182},   {2, 176},   {0, 168},   {10, 172},  {14, 173},  {20, 172},
      {31, 171}, {20, 170}, {15, 171},  {10, 170}};
  CHECK(mean_distance(predictor.predict(image, {40, 20, 100, 90}), inside) == 0);
  CHECK(mean_distance(predictor.predict(image, {-60, 50, 150, 160}), partly_outside) == 0);
}
