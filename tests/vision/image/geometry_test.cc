#include "vision/image/geometry.h"

#include <doctest/doctest.h>

using namespace maskwatch;

using vision::Box;

TEST_CASE("area, center and inside") {
  const Box box{10, 20, 40, 30};
  CHECK(vision::area(box) == 1200);
  CHECK(vision::center(box).x == 30);
  CHECK(vision::center(box).y == 35);
  CHECK(vision::contains(box, {11, 49}));
  CHECK_FALSE(vision::contains(box, {10, 30}));
  CHECK_FALSE(vision::contains(box, {30, 51}));
}

TEST_CASE("the shared area of two boxes") {
  const Box box{10, 20, 40, 30};
  CHECK(vision::intersection_area(box, {40, 45, 100, 100}) == 50);
  CHECK(vision::intersection_area(box, {50, 20, 40, 30}) == 0);
  CHECK(vision::intersection_over_smaller(box, {45, 20, 10, 10}) == doctest::Approx(.5));
  CHECK(vision::intersection_over_smaller({0, 0, 4, 4}, box) == 0);
  CHECK(vision::intersection_over_smaller({20, 25, 4, 4}, box) == 1);
  CHECK(vision::intersection_over_smaller(box, {20, 25, 0, 4}) == 0);
}

TEST_CASE("a box grows on all sides") {
  const Box grown = vision::grow_box({40, 30, 20, 10}, 0.5f);
  CHECK(grown.x == 30);
  CHECK(grown.y == 25);
  CHECK(grown.width == 40);
  CHECK(grown.height == 20);
}

TEST_CASE("a box is cut off at the edges of an image") {
  const Box corner = vision::cut_off({-5, 70, 20, 20}, 100, 80);
  CHECK(corner.x == 0);
  CHECK(corner.y == 70);
  CHECK(corner.width == 15);
  CHECK(corner.height == 10);
  CHECK(vision::cut_off({200, 0, 10, 10}, 100, 80).width == 0);
}

TEST_CASE("intersection over union") {
  const Box box{10, 20, 40, 30};
  CHECK(vision::intersection_over_union(box, box) == 1);
  CHECK(vision::intersection_over_union(box, {30, 20, 40, 30}) == doctest::Approx(1 / 3.0));
  CHECK(vision::intersection_over_union(box, {20, 25, 10, 10}) == doctest::Approx(1 / 12.0));
  CHECK(vision::intersection_over_union(box, {50, 20, 40, 30}) == 0);
  CHECK(vision::intersection_over_union(box, {0, 0, 1, 1}) == 0);
  CHECK(vision::intersection_over_union({}, {}) == 0);
}

TEST_CASE("suppression keeps the surest of boxes that overlap") {
  const Box left{0, 0, 10, 10}, near_left{1, 0, 10, 10}, right{20, 0, 10, 10}, half{5, 0, 10, 10};
  const auto kept = vision::non_maximum_suppression(
      {{near_left, 0.8f}, {right, 0.7f}, {left, 0.9f}, {half, 0.6f}}, 0.4f);
  REQUIRE(kept.size() == 3);
  CHECK(kept[0].box.x == left.x);
  CHECK(kept[1].box.x == right.x);
  CHECK(kept[2].box.x == half.x);  // overlaps `left` by a third; the suppressed box hides nothing
  CHECK(vision::non_maximum_suppression({{left, 0.9f}, {half, 0.6f}}, 0.3f).size() == 1);
  // Equal scores: the earlier one stays.
  const auto equal = vision::non_maximum_suppression({{near_left, 0.5f}, {left, 0.5f}}, 0.4f);
  REQUIRE(equal.size() == 1);
  CHECK(equal[0].box.x == near_left.x);
  CHECK(vision::non_maximum_suppression({{left, 0.5f}, {right, 0.9f}}, 0.3f, 1).size() == 1);
  CHECK(vision::non_maximum_suppression({}, 0.3f).empty());
}
