#include "vision/drawn/mask_overlay.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "tests/vision/drawn/masked_faces.h"
#include "vision/drawn/mask_flat.h"

using namespace maskwatch;

using namespace masked_faces;

namespace {

using vision::Image;
using vision::MaskCut;
using vision::MaskDesign;
using vision::MaskWear;
using vision::Point;

double mean_grey(const Image& image, const Image& covered, int from_x, int to_x) {
  double sum = 0;
  int count = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = from_x; x < to_x; ++x) {
      if (*covered.at(x, y) < 255) continue;
      sum += image.at(x, y)[1];
      ++count;
    }
  }
  return count ? sum / count : 0;
}

}  // namespace

TEST_CASE("every cut covers mouth and nose tip and leaves the eyes free") {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const vision::DrawnFace face = bare_face(seed);
    for (int cut = 0; cut < 6; ++cut) {
      MaskDesign design = vision::random_mask(seed * 7 + cut);
      design.cut = static_cast<MaskCut>(cut);
      const auto masked = vision::lay_mask(face.picture, face.landmarks, design);
      INFO("seed " << seed << ", " << name_of(design.cut));
      CHECK(hidden(masked.covered, face.landmarks, 48, 68) == 1);
      CHECK(hidden(masked.covered, face.landmarks, 30, 36) == 1);
      CHECK(hidden(masked.covered, face.landmarks, 36, 48) == 0);
      CHECK(hidden(masked.covered, face.landmarks, 17, 27) == 0);
    }
  }
}

TEST_CASE("a mask that has slid leaves the bridge of the nose bare") {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    CAPTURE(seed);
    const vision::DrawnFace face = bare_face(seed);
    MaskDesign design = vision::random_mask(seed);
    design.cut = MaskCut::surgical;
    design.lift = 1;
    const auto high = vision::lay_mask(face.picture, face.landmarks, design);
    design.lift = -3;
    const auto low = vision::lay_mask(face.picture, face.landmarks, design);
    CHECK(hidden(high.covered, face.landmarks, 28, 30) > 0);
    CHECK(hidden(low.covered, face.landmarks, 27, 30) == 0);
    CHECK(hidden(low.covered, face.landmarks, 30, 36) == 1);
  }
}

TEST_CASE("worn wrongly: the nose is bare, on the chin the mouth too") {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    vision::FaceParameters p = vision::random_face(seed, false);
    p.mouth_open = 0;
    const vision::DrawnFace face = vision::draw_face(p, 160, 160);
    MaskDesign design = vision::random_mask(seed, MaskWear::under_nose);
    const auto below = vision::lay_mask(face.picture, face.landmarks, design);
    INFO("seed " << seed);
    CHECK(hidden(below.covered, face.landmarks, 27, 31) == 0);
    CHECK(hidden(below.covered, face.landmarks, 54, 60) == 1);
    design.wear = MaskWear::on_chin;
    const auto chin = vision::lay_mask(face.picture, face.landmarks, design);
    CHECK(hidden(chin.covered, face.landmarks, 27, 36) == 0);
    CHECK(hidden(chin.covered, face.landmarks, 60, 68) == 0);
    CHECK(covered_at(chin.covered, {face.landmarks[8].x, face.landmarks[8].y - 1}) > 127);
  }
}

TEST_CASE("pixels that the mask does not touch or shade stay as they are") {
  const vision::DrawnFace face = bare_face(3, 200);
  const auto masked = vision::lay_mask(face.picture, face.landmarks, vision::random_mask(3));
  for (int i = 17; i < 22; ++i) {
    const int x = static_cast<int>(face.landmarks[i].x), y = static_cast<int>(face.landmarks[i].y);
    CHECK(std::equal(face.picture.at(x, y), face.picture.at(x, y) + 3, masked.picture.at(x, y)));
  }
}

TEST_CASE("the same arguments give the same bytes, another seed others") {
  const vision::DrawnFace face = bare_face(5);
  const auto once = vision::lay_mask(face.picture, face.landmarks, vision::random_mask(5));
  const auto again = vision::lay_mask(face.picture, face.landmarks, vision::random_mask(5));
  CHECK(once.picture.pixels == again.picture.pixels);
  CHECK(once.covered.pixels == again.covered.pixels);
  const auto other = vision::lay_mask(face.picture, face.landmarks, vision::random_mask(6));
  CHECK(once.picture.pixels != other.picture.pixels);
}

TEST_CASE("the mask is brighter on the side that the light comes from, and dark in the dark") {
  vision::FaceParameters p = vision::random_face(8, false);
  p.light_strength = .9f;
  p.light_y = 0;
  p.light_x = -1;
  p.yaw = p.roll = 0;
  p.hand = p.scarf = false;
  p.beard = vision::BeardKind::none;
  MaskDesign white;
  white.color = {235, 235, 235};
  const auto lit = [&] {
    const vision::DrawnFace face = vision::draw_face(p, 200, 200);
    const auto masked = vision::lay_mask(face.picture, face.landmarks, white);
    const int middle = static_cast<int>(face.landmarks[33].x);
    return std::pair(mean_grey(masked.picture, masked.covered, 0, middle),
                     mean_grey(masked.picture, masked.covered, middle, 200));
  };
  const auto [left, right] = lit();
  CHECK(left > right + 8);
  p.light_x = 1;
  const auto [dark, bright] = lit();
  CHECK(bright > dark + 8);

  vision::DrawnFace face = vision::draw_face(p, 200, 200);
  for (std::uint8_t& value : face.picture.pixels) value /= 4;
  const auto night = vision::lay_mask(face.picture, face.landmarks, white);
  CHECK(mean_grey(night.picture, night.covered, 0, 200) < .6 * (dark + bright) / 2);
}

TEST_CASE("a grey photograph gets a grey mask") {
  vision::DrawnFace face = bare_face(9);
  for (std::size_t i = 0; i < face.picture.pixels.size(); i += 3)
    face.picture.pixels[i] = face.picture.pixels[i + 2] = face.picture.pixels[i + 1];
  MaskDesign red;
  red.color = {200, 40, 40};
  const auto masked = vision::lay_mask(face.picture, face.landmarks, red);
  const int x = static_cast<int>(face.landmarks[57].x), y = static_cast<int>(face.landmarks[57].y);
  const std::uint8_t* at = masked.picture.at(x, y);
  CHECK(std::abs(at[0] - at[2]) < 24);
}

TEST_CASE("tiny, huge and cut faces") {
  for (const int size : {16, 24, 900}) {
    const vision::DrawnFace face = bare_face(4, size);
    const auto masked = vision::lay_mask(face.picture, face.landmarks, vision::random_mask(4));
    INFO("size " << size);
    CHECK(hidden(masked.covered, face.landmarks, 60, 68) == 1);
  }
  for (const float x : {0.f, 1.f}) {
    vision::FaceParameters p = vision::random_face(6, false);
    p.centre_x = x;
    p.centre_y = .9f;
    const vision::DrawnFace face = vision::draw_face(p, 120, 120);
    const auto masked = vision::lay_mask(face.picture, face.landmarks, vision::random_mask(6));
    CHECK(masked.picture.pixels.size() == face.picture.pixels.size());
    CHECK(*std::max_element(masked.covered.pixels.begin(), masked.covered.pixels.end()) == 255);
  }
  vision::DrawnFace face = bare_face(7);
  for (Point& point : face.landmarks) point.x += 5000;
  const auto outside = vision::lay_mask(face.picture, face.landmarks, vision::random_mask(7));
  CHECK(outside.picture.pixels == face.picture.pixels);
  for (Point& point : face.landmarks) point = {(point.x - 5000) * 40, point.y * 40};
  const auto enormous = vision::lay_mask(face.picture, face.landmarks, vision::random_mask(7));
  CHECK(enormous.picture.pixels.size() == face.picture.pixels.size());
}

TEST_CASE("what is no face or no picture is refused") {
  const vision::DrawnFace face = bare_face(1);
  const MaskDesign design;
  std::array<Point, 68> points{};
  CHECK_THROWS_AS(vision::lay_mask(face.picture, points, design), std::invalid_argument);
  CHECK_THROWS_AS(vision::paste_flat_mask(face.picture, points), std::invalid_argument);
  for (int i = 0; i < 68; ++i) points[i] = {static_cast<float>(i), static_cast<float>(2 * i)};
  CHECK_THROWS_AS(vision::lay_mask(face.picture, points, design), std::invalid_argument);
  points = face.landmarks;
  points[40].x = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(vision::lay_mask(face.picture, points, design), std::invalid_argument);
  CHECK_THROWS_AS(vision::lay_mask({}, face.landmarks, design), std::invalid_argument);
  CHECK_THROWS_AS(vision::lay_mask(vision::to_grey(face.picture), face.landmarks, design),
                  std::invalid_argument);
}
