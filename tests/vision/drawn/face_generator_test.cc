#include "vision/drawn/face_generator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <stdexcept>

using namespace maskwatch;

namespace {

using vision::DrawnFace;
using vision::FaceParameters;
using vision::Image;
using vision::Point;

double mean(const Image& image) {
  return std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) /
         static_cast<double>(image.pixels.size());
}

FaceParameters frontal() {
  FaceParameters p;
  p.backdrop = vision::Backdrop::plain;
  return p;
}

}  // namespace

TEST_CASE("a drawn face depends on its seed alone") {
  const DrawnFace a = vision::draw_face(vision::random_face(5, true), 96, 96);
  const DrawnFace b = vision::draw_face(vision::random_face(5, true), 96, 96);
  const DrawnFace c = vision::draw_face(vision::random_face(6, true), 96, 96);
  CHECK(a.picture.pixels == b.picture.pixels);
  CHECK(a.picture.pixels != c.picture.pixels);
}

TEST_CASE("with and without a mask it is the same person in the same place") {
  const DrawnFace bare = vision::draw_face(vision::random_face(8, false), 128, 128);
  const DrawnFace masked = vision::draw_face(vision::random_face(8, true), 128, 128);
  for (int i = 0; i < 68; ++i) {
    CHECK(bare.landmarks[i].x == masked.landmarks[i].x);
    CHECK(bare.landmarks[i].y == masked.landmarks[i].y);
  }
  CHECK(mean(bare.mask) == 0);
  CHECK(mean(masked.mask) > 8);
}

TEST_CASE("a frontal face is symmetric and its landmarks lie in order") {
  const DrawnFace face = vision::draw_face(frontal(), 120, 120);
  const auto& p = face.landmarks;
  constexpr int mirrored[][2] = {{0, 16},  {17, 26}, {36, 45}, {39, 42},
                                 {31, 35}, {48, 54}, {37, 44}};
  for (const auto& pair : mirrored) {
    CHECK(p[pair[0]].x + p[pair[1]].x == doctest::Approx(120).epsilon(.001));
    CHECK(p[pair[0]].y == doctest::Approx(p[pair[1]].y).epsilon(.001));
    CHECK(p[pair[0]].x < p[pair[1]].x);
  }
  CHECK(p[19].y < p[37].y);  // brow, eye, nose, lips, chin from top to bottom
  CHECK(p[37].y < p[41].y);
  CHECK(p[41].y < p[33].y);
  CHECK(p[27].y < p[30].y);
  CHECK(p[33].y < p[51].y);
  CHECK(p[51].y < p[62].y);
  CHECK(p[62].y < p[66].y);
  CHECK(p[66].y < p[57].y);
  CHECK(p[57].y < p[8].y);
  for (const Point& point : p) {
    CHECK(point.x >= face.box.x - 1);
    CHECK(point.x <= face.box.x + face.box.width + 1);
    CHECK(point.y <= face.box.y + face.box.height + 1);
  }
}

TEST_CASE("landmarks turn as the head turns") {
  FaceParameters p = frontal();
  const DrawnFace straight = vision::draw_face(p, 120, 120);
  p.yaw = 25;
  const DrawnFace right = vision::draw_face(p, 120, 120);
  CHECK(right.landmarks[30].x > straight.landmarks[30].x + 3);
  const auto nose_share = [](const DrawnFace& f) {
    return (f.landmarks[30].x - f.landmarks[36].x) / (f.landmarks[45].x - f.landmarks[36].x);
  };
  CHECK(nose_share(right) > nose_share(straight) + .1);
  p.yaw = 0;
  p.roll = 20;
  const DrawnFace rolled = vision::draw_face(p, 120, 120);
  CHECK(rolled.landmarks[45].y > rolled.landmarks[36].y + 6);
  p.roll = 0;
  p.pitch = 15;
  const DrawnFace down = vision::draw_face(p, 120, 120);
  CHECK(down.landmarks[30].y > straight.landmarks[30].y + 1);
}

TEST_CASE("the eye's landmarks surround its dark pupil") {
  FaceParameters p = frontal();
  p.gaze = 0;
  const DrawnFace face = vision::draw_face(p, 240, 240);
  const auto& l = face.landmarks;
  const int x = static_cast<int>((l[36].x + l[39].x) / 2),
            y = static_cast<int>((l[37].y + l[41].y) / 2);
  CHECK(face.picture.at(x, y)[0] < 70);
  CHECK(face.picture.at(static_cast<int>(l[36].x * .75f + l[39].x * .25f), y)[0] > 110);
}

TEST_CASE("a mask covers nose, mouth and chin as it is worn") {
  FaceParameters p = frontal();
  for (const auto kind :
       {vision::MaskKind::surgical, vision::MaskKind::cloth, vision::MaskKind::n95}) {
    for (const auto wear :
         {vision::MaskWear::proper, vision::MaskWear::under_nose, vision::MaskWear::on_chin}) {
      p.mask = kind;
      p.wear = wear;
      const DrawnFace face = vision::draw_face(p, 100, 100);
      const auto covered = [&](int landmark, int down) {
        const Point at = face.landmarks[landmark];
        return *face.mask.at(static_cast<int>(at.x), static_cast<int>(at.y) + down) > 128;
      };
      CHECK(covered(30, 0) == (wear == vision::MaskWear::proper));
      CHECK(covered(62, 0) == (wear != vision::MaskWear::on_chin));
      CHECK(covered(8, -3));
      CHECK_FALSE(covered(36, 0));
    }
  }
}

TEST_CASE("faces are drawn into scenes, beyond their borders too") {
  Image scene(120, 90);
  const FaceParameters p = vision::random_face(3, true);
  const DrawnFace face = vision::draw_face_into(scene, {70, 20, 30, 34}, p);
  CHECK(face.picture.empty());
  CHECK(face.mask.width == 120);
  CHECK(face.landmarks[30].x > 70);
  CHECK(mean(scene) > 5);
  CHECK(scene.at(5, 5)[0] == 0);
  vision::draw_face_into(scene, {-20, -20, 30, 34}, p);
  CHECK(scene.at(0, 0)[0] + scene.at(0, 0)[1] + scene.at(0, 0)[2] > 0);
  vision::draw_face_into(scene, {1000, 1000, 30, 34}, p);
  CHECK_THROWS_AS(vision::draw_face_into(scene, {0, 0, 0, 34}, p), std::invalid_argument);
  CHECK_THROWS_AS(vision::draw_face_into(scene, {NAN, 0, 9, 34}, p), std::invalid_argument);
  CHECK_THROWS_AS(vision::draw_face(p, 4, 100), std::invalid_argument);
  for (const float size : {0.f, -1.f, std::nanf("")}) {
    auto sized = p;
    sized.size = size;
    CHECK_THROWS_AS(vision::draw_face(sized, 100, 100), std::invalid_argument);
  }
}

TEST_CASE("every build, hair, beard, glasses and backdrop can be drawn") {
  for (int i = 0; i < 24; ++i) {
    FaceParameters p = vision::random_face(100 + i, i % 3 == 0);
    p.hair_style = static_cast<vision::HairStyle>(i % 5);
    p.beard = static_cast<vision::BeardKind>(i % 4);
    p.glasses = static_cast<vision::Glasses>(i / 2 % 4);
    p.backdrop = static_cast<vision::Backdrop>(i % 6);
    p.pattern = static_cast<vision::MaskPattern>(i % 5);
    p.hand = p.scarf = i % 2 == 0;
    const DrawnFace face = vision::draw_face(p, 48, 40);
    CHECK(face.picture.width == 48);
    CHECK(std::abs(face.box.x + face.box.width / 2 - 24) < 14);
    CHECK(mean(face.picture) > 5);
  }
}
