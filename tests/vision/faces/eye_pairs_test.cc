#include "vision/faces/eye_pairs.h"

#include <doctest/doctest.h>

#include <vector>

using namespace maskwatch;

namespace {

using vision::Detection;

Detection eye(float x, float y, float size, float score) {
  return {{x - size / 2, y - size / 2, size, size}, score};
}

}  // namespace

TEST_CASE("two eyes make a face about them") {
  const auto faces = vision::faces_of_eyes(std::vector{eye(140, 62, 22, 4), eye(100, 58, 20, 9)});
  REQUIRE(faces.size() == 1);
  CHECK(faces[0].score == 4);
  CHECK(faces[0].box.width == doctest::Approx(88));
  CHECK(faces[0].box.height == doctest::Approx(88));
  CHECK(faces[0].box.x == doctest::Approx(120 - 44));
  CHECK(faces[0].box.y == doctest::Approx(60 + 18 - 44));
}

TEST_CASE("eyes that do not belong together make no face") {
  const Detection left = eye(100, 60, 20, 5);
  for (const Detection& other : {eye(115, 60, 20, 5), eye(160, 60, 20, 5), eye(140, 80, 20, 5),
                                 eye(140, 60, 36, 5), eye(140, 60, 11, 5), eye(100, 100, 20, 5)})
    CHECK(vision::faces_of_eyes(std::vector{left, other}).empty());
  CHECK(vision::faces_of_eyes({}).empty());
  CHECK(vision::faces_of_eyes(std::vector{left}).empty());
}

TEST_CASE(
    "an eye that both cascades found counts once, and the surest of faces over one another stays") {
  const auto faces = vision::faces_of_eyes(std::vector{eye(100, 60, 20, 5), eye(101, 61, 21, 8),
                                                       eye(140, 60, 20, 6), eye(141, 60, 20, 2),
                                                       eye(330, 200, 20, 3), eye(366, 200, 20, 7)});
  REQUIRE(faces.size() == 2);
  CHECK(faces[0].score == 6);
  CHECK(faces[1].score == 3);
}
