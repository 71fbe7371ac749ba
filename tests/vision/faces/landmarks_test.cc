#include "vision/faces/landmarks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "vision/image/image.h"

using namespace maskwatch;

namespace {

using vision::Box;
using vision::Image;
using vision::LandmarkPredictor;
using vision::Landmarks;

// --- A predictor small enough to follow by hand, in dlib's serialisation ------------------------

class Writer {
 public:
  std::string bytes;

  void integer(long long value) {
    unsigned long long magnitude = value < 0 ? -static_cast<unsigned long long>(value) : value;
    std::string digits;
    do {
      digits += static_cast<char>(magnitude & 255);
      magnitude >>= 8;
    } while (magnitude != 0);
    bytes += static_cast<char>(digits.size() | (value < 0 ? 0x80 : 0));
    bytes += digits;
  }

  void number(float value) {
    int exponent = 0;
    const float fraction = std::frexp(value, &exponent);
    integer(static_cast<long long>(std::ldexp(fraction, 24)));
    integer(exponent - 24);
  }

  void shape(const std::function<float(int)>& value, int rows = 136) {
    integer(-rows);
    integer(-1);
    for (int i = 0; i < rows; ++i) number(value(i));
  }
};

float mean_shape(int i) { return i % 2 == 0 ? (i / 2 % 10) / 9.f : (i / 20) / 6.f; }

struct Odd {
  int version = 1;
  int points = 68;
  int pixel = 1;
  int anchor = 60;
  int anchor_lists = 1;
  int deltas = 2;
  int leaves = 2;
  long long trees = 2;
  float delta = .125f;
};

// Two trees that compare the pixel at point 0 with the one beside point 60: where the first is
// brighter by 10, x grows by 1/4; where by 100, y shrinks by 1/2. Otherwise nothing moves.
std::string small_predictor(const Odd& odd = {}) {
  Writer w;
  w.integer(odd.version);
  w.shape(mean_shape, 2 * odd.points);
  w.integer(1);
  w.integer(odd.trees);
  for (int tree = 0; tree < 2; ++tree) {
    w.integer(1);
    w.integer(0);
    w.integer(odd.pixel);
    w.number(tree == 0 ? 10 : 100);
    w.integer(odd.leaves);
    w.shape([&](int i) { return tree == 0 ? (i % 2 == 0 ? .25f : 0) : (i % 2 == 0 ? 0 : -.5f); });
    for (int leaf = 1; leaf < odd.leaves; ++leaf) w.shape([](int) { return 0.f; });
  }
  w.integer(odd.anchor_lists);
  w.integer(2);
  w.integer(0);
  w.integer(odd.anchor);
  w.integer(1);
  w.integer(odd.deltas);
  for (int i = 0; i < odd.deltas; ++i) {
    w.number(i == 0 ? 0.f : odd.delta);
    w.number(0);
  }
  return w.bytes;
}

std::string fault_of(const std::string& bytes) {
  try {
    LandmarkPredictor::parse(bytes, "small.dat");
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

bool finite(const Landmarks& points) {
  return std::all_of(points.begin(), points.end(),
                     [](auto p) { return std::isfinite(p.x) && std::isfinite(p.y); });
}

Image flat(int width, int height, int channels, int value) {
  Image image(width, height, channels);
  std::fill(image.pixels.begin(), image.pixels.end(), static_cast<std::uint8_t>(value));
  return image;
}

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

// The box spans pixels 20..110 and 30..90, so point 0 is (20, 30) and the pixel beside point 60 is
// (20 + 90 / 8, 90).
const Box kBox{20, 30, 91, 61};

}  // namespace

TEST_CASE("landmarks: trees move the points as their leaves say") {
  const auto predictor = LandmarkPredictor::parse(small_predictor(), "small.dat");
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
  const auto predictor = LandmarkPredictor::parse(small_predictor(), "small.dat");
  Image image = flat(200, 150, 3, 200);
  CHECK(predictor.predict(image, kBox)[0].x == doctest::Approx(20));
  std::uint8_t* beside = image.at(31, 90);            // 20 + 11.25, 90
  beside[0] = 255, beside[1] = 189, beside[2] = 127;  // 571 / 3 = 190.3: not darker by more than 10
  CHECK(predictor.predict(image, kBox)[0].x == doctest::Approx(20));
  beside[2] = 125;  // 189.7, cut to 189
  CHECK(predictor.predict(image, kBox)[0].x == doctest::Approx(42.5));
}

TEST_CASE("landmarks: what lies outside the picture is black") {
  const auto predictor = LandmarkPredictor::parse(small_predictor(), "small.dat");
  // Point 0 inside, the other pixel below the picture.
  CHECK(predictor.predict(flat(100, 90, 3, 50), kBox)[0].x == doctest::Approx(42.5));
  CHECK(predictor.predict(flat(100, 91, 3, 50), kBox)[0].x == doctest::Approx(20));
  // Wholly outside.
  CHECK(predictor.predict(flat(10, 10, 3, 255), kBox)[0].x == doctest::Approx(20));
  CHECK(predictor.predict(flat(10, 10, 3, 255), {-500, -400, 91, 61})[0].x ==
        doctest::Approx(-500));
}

TEST_CASE("landmarks: tiny pictures and boxes, far and thin ones") {
  const auto predictor = LandmarkPredictor::parse(small_predictor(), "small.dat");
  for (const auto& [width, height] : {std::pair{1, 1}, {1, 5000}, {5000, 1}, {3, 2}})
    for (const Box box : {Box{0, 0, 1, 1}, Box{-3, 0, .25f, 9000}, Box{0, 0, 5000, 5000},
                          Box{1e7f, -1e7f, 1e7f, 1e7f}})
      for (const int channels : {1, 3})
        CHECK(finite(predictor.predict(flat(width, height, channels, 99), box)));
}

TEST_CASE("landmarks: wrong arguments are named") {
  const auto predictor = LandmarkPredictor::parse(small_predictor(), "small.dat");
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

TEST_CASE("landmarks: boxes of other detectors become dlib's") {
  const Box haar = vision::landmark_box({100, 200, 100, 100}, vision::BoxSource::haar);
  CHECK(haar.width == doctest::Approx(91.5));
  CHECK(haar.height == doctest::Approx(91.5));
  CHECK(haar.x + haar.width / 2 == doctest::Approx(150));
  CHECK(haar.y + haar.height / 2 == doctest::Approx(258.3));
  const Box ssd = vision::landmark_box({100, 200, 80, 125}, vision::BoxSource::ssd);
  CHECK(ssd.width == doctest::Approx(95.7));
  CHECK(ssd.x + ssd.width / 2 == doctest::Approx(140));
  CHECK(ssd.y + ssd.height / 2 == doctest::Approx(200 + 62.5 + .061 * 125));
  const Box same = vision::landmark_box(kBox, vision::BoxSource::dlib);
  CHECK((same.x == kBox.x && same.y == kBox.y && same.width == kBox.width));
}

TEST_CASE("landmarks: spread is a share of the box, and points are those of the box itself") {
  const auto predictor = LandmarkPredictor::parse(small_predictor(), "small.dat");
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

TEST_CASE("landmarks: a file cut off anywhere is refused") {
  const std::string whole = small_predictor();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const std::string fault = fault_of(whole.substr(0, size));
    REQUIRE(fault.starts_with("small.dat: "));
  }
  CHECK(fault_of(whole) == "");
  CHECK(fault_of(whole + "x") == "small.dat: goes on for 1 bytes after its end");
}

TEST_CASE("landmarks: counts, indices and numbers that cannot be are named") {
  const auto with = [](auto Odd::*field, auto value) {
    Odd odd;
    odd.*field = value;
    return fault_of(small_predictor(odd));
  };
  CHECK(with(&Odd::version, 2) == "small.dat: is no dlib shape predictor (version 1)");
  CHECK(with(&Odd::points, 5) == "small.dat: has shapes of 10x1 numbers; 68 points are 136x1");
  CHECK(with(&Odd::pixel, 2) == "small.dat: pixel 2 of 2");
  CHECK(with(&Odd::pixel, -1).starts_with("small.dat: pixel -1 of "));
  CHECK(with(&Odd::anchor, 68) == "small.dat: anchor 68 of 68");
  CHECK(with(&Odd::anchor, -1) == "small.dat: anchor -1 of 68");
  CHECK(with(&Odd::anchor_lists, 2) == "small.dat: 2 lists of anchors where 1 are due");
  CHECK(with(&Odd::deltas, 1) == "small.dat: 1 deltas where 2 are due");
  CHECK(with(&Odd::leaves, 3) == "small.dat: has a tree of 1 splits and 3 leaves");
  CHECK(with(&Odd::delta, 0x1p127f) == "");
  for (const long long trees : {-1LL, 1LL << 20, 1LL << 32, 1LL << 62}) {
    CAPTURE(trees);
    CHECK(with(&Odd::trees, trees).find(std::to_string(trees) + " trees do not fit into the ") !=
          std::string::npos);
  }
}

TEST_CASE("landmarks: random damage is refused or harmless") {
  const std::string whole = small_predictor();
  const Image image = flat(64, 64, 3, 77);
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = whole;
    for (unsigned i = 0; i <= round % 4u; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      LandmarkPredictor::parse(bytes, "small.dat").predict(image, {8, 8, 40, 40});
    } catch (const std::runtime_error& error) {
      REQUIRE(std::string(error.what()).starts_with("small.dat: "));
      ++refused;
    }
  }
  CHECK(refused > 500);
}

TEST_CASE("landmarks: numbers at the edge of float move points far away without harm") {
  Odd odd;
  odd.delta = 0x1.fffffep127f;
  const auto predictor = LandmarkPredictor::parse(small_predictor(odd), "small.dat");
  CHECK(finite(predictor.predict(flat(64, 64, 3, 77), {8, 8, 40, 40})));
}

TEST_CASE("landmarks: files that are not there or not files") {
  CHECK_THROWS_WITH_AS(LandmarkPredictor::load("no/such.dat"), "no/such.dat: no such file",
                       std::runtime_error);
  CHECK_THROWS_AS(LandmarkPredictor::load("/"), std::runtime_error);
  CHECK_THROWS_AS(LandmarkPredictor::load("meson.build"), std::runtime_error);
}

TEST_CASE("landmarks: names") {
  Landmarks points;
  for (std::size_t i = 0; i < points.size(); ++i) points[i] = {float(i), float(2 * i)};
  CHECK(vision::points_of(points, vision::landmarks::right_eye).front().x == 36);
  CHECK(vision::points_of(points, vision::landmarks::left_eye).back().x == 47);
  CHECK(vision::centre_of(points, vision::landmarks::nose_bridge).y == 57);
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
  CHECK(vision::fit_landmarks(predictor, photograph, {224, 94, 38, 38}).spread <
        vision::kFaceSpread);
  for (const Box box : {Box{340, 60, 60, 60}, Box{40, 150, 80, 80}, Box{440, 220, 90, 90}})
    CHECK(vision::fit_landmarks(predictor, photograph, box).spread > vision::kFaceSpread);
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

TEST_CASE("landmarks: dlib's file cut off is refused") {
  const std::string file(vision::kDlibLandmarkFile);
  if (!std::filesystem::exists(file)) {
    MESSAGE("SKIPPED, NOT TESTED: " << file << " is not there (libdlib-data)");
    return;
  }
  std::ifstream stream(file, std::ios::binary);
  std::string bytes(std::filesystem::file_size(file), '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const std::string_view whole(bytes);
  // Everything before the first forest, chunk borders of the reader, the last bytes.
  std::vector<std::size_t> sizes{820, 827, 991, 4096, 1 << 20, (1 << 20) + 1, 3000001};
  for (std::size_t i = 0; i < 190; ++i) sizes.push_back(i * i * 61 + i % 7);  // to 2 MB
  sizes.insert(sizes.end(), {whole.size() - 20000, whole.size() - 1});
  for (const std::size_t size : sizes) {
    CAPTURE(size);
    CHECK_THROWS_AS(LandmarkPredictor::parse(whole.substr(0, size), file), std::runtime_error);
  }
}
