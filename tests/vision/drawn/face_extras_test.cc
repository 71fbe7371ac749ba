#include "vision/drawn/face_extras.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>

#include "vision/drawn/face_generator.h"

using namespace maskwatch;

namespace {

using vision::FaceExtra;
using vision::Image;

const vision::DrawnFace& drawn() {
  static const vision::DrawnFace face = vision::draw_face(vision::random_face(11, false), 200, 200);
  return face;
}

// Pixels that differ by more than noise, and their mean place.
struct Change {
  int count = 0;
  double x = 0, y = 0;
};

Change change_by(FaceExtra extra, std::uint64_t seed) {
  Image picture = drawn().picture;
  vision::draw_extra(picture, drawn().landmarks, extra, seed);
  Change change;
  for (int y = 0; y < picture.height; ++y)
    for (int x = 0; x < picture.width; ++x) {
      int difference = 0;
      for (int c = 0; c < 3; ++c)
        difference += std::abs(picture.at(x, y)[c] - drawn().picture.at(x, y)[c]);
      if (difference < 12) continue;
      ++change.count;
      change.x += x;
      change.y += y;
    }
  change.x /= std::max(change.count, 1);
  change.y /= std::max(change.count, 1);
  return change;
}

}  // namespace

TEST_CASE("every extra is drawn where it belongs, and comes back with its seed") {
  const auto& points = drawn().landmarks;
  const double eyes = (points[36].y + points[45].y) / 2, nose = points[33].y, chin = points[8].y;
  const struct {
    FaceExtra extra;
    double above, below;  // where the middle of what changed must lie
  } places[] = {{FaceExtra::sunglasses, eyes - 8, nose},
                {FaceExtra::spectacles, eyes - 8, nose},
                {FaceExtra::hat, 0, eyes},
                {FaceExtra::lipstick, nose, chin},
                {FaceExtra::beard, nose - 10, chin + 5},
                {FaceExtra::scarf, points[57].y, 200},
                {FaceExtra::hand, nose, 200},
                {FaceExtra::cup, nose, 200},
                {FaceExtra::microphone, nose, 200}};
  for (const auto& place : places) {
    CAPTURE(name_of(place.extra));
    int seen = 0;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const Change change = change_by(place.extra, seed);
      if (change.count < 15) continue;  // a red on red lips
      ++seen;
      CHECK(change.y > place.above);
      CHECK(change.y < place.below);
      CHECK(change_by(place.extra, seed).count == change.count);
    }
    CHECK(seen >= 8);
  }
  CHECK(change_by(FaceExtra::none, 1).count == 0);
}

TEST_CASE("spectacles leave the eyes to be seen, sunglasses hide them") {
  const auto darkening = [](FaceExtra extra, std::uint64_t seed) {
    Image picture = drawn().picture;
    vision::draw_extra(picture, drawn().landmarks, extra, seed);
    double change = 0;
    for (int i = 36; i < 42; ++i) {
      const vision::Point eye = drawn().landmarks[static_cast<std::size_t>(i)];
      const int x = static_cast<int>(eye.x), y = static_cast<int>(eye.y);
      for (int c = 0; c < 3; ++c)
        change += std::abs(picture.at(x, y)[c] - drawn().picture.at(x, y)[c]);
    }
    return change / 18;
  };
  double spectacles = 0, sunglasses = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    spectacles += darkening(FaceExtra::spectacles, seed) / 20;
    sunglasses += darkening(FaceExtra::sunglasses, seed) / 20;
  }
  CAPTURE(spectacles);
  CAPTURE(sunglasses);
  CHECK(spectacles < 15);
  CHECK(sunglasses > 3 * spectacles);
}

TEST_CASE("all extras are drawn at random, lipstick and beards under masks") {
  std::set<FaceExtra> kinds;
  std::set<std::string> names;
  for (std::uint64_t seed = 0; seed < 200; ++seed) kinds.insert(vision::random_extra(seed));
  CHECK(kinds.size() == 9);
  CHECK_FALSE(kinds.contains(FaceExtra::none));
  for (const FaceExtra extra : kinds) {
    names.insert(name_of(extra));
    CHECK(lies_under_mask(extra) == (extra == FaceExtra::lipstick || extra == FaceExtra::beard));
  }
  CHECK(names.size() == 9);
}

TEST_CASE("extras: faces at and beyond the edge, and what is refused") {
  auto points = drawn().landmarks;
  for (vision::Point& p : points) p = {p.x * 3 - 400, p.y * 3 - 100};
  for (int kind = 0; kind < 10; ++kind)
    for (const auto& [width, height] : {std::pair{1, 1}, {1, 300}, {64, 64}}) {
      Image picture(width, height);
      CHECK_NOTHROW(vision::draw_extra(picture, points, static_cast<FaceExtra>(kind), 3));
    }
  Image picture(8, 8);
  for (vision::Point& p : points) p = {4, 4};
  const Image before = picture;
  vision::draw_extra(picture, points, FaceExtra::cup, 1);
  CHECK(picture.pixels == before.pixels);
  points[5].x = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(vision::draw_extra(picture, points, FaceExtra::cup, 1), std::invalid_argument);
  points[5].x = 1e9f;
  CHECK_THROWS_AS(vision::draw_extra(picture, points, FaceExtra::cup, 1), std::invalid_argument);
  Image grey(8, 8, 1), none;
  CHECK_THROWS_AS(vision::draw_extra(grey, drawn().landmarks, FaceExtra::cup, 1),
                  std::invalid_argument);
  CHECK_THROWS_AS(vision::draw_extra(none, drawn().landmarks, FaceExtra::cup, 1),
                  std::invalid_argument);
}
