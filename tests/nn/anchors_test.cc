// Anchors: where they lie, what they stand for, and the way to boxes and back.
#include "nn/anchors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "tests/check.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

std::array<float, 4> edges_of(const CornerBox& box) { return {box.x0, box.y0, box.x1, box.y1}; }

CornerBox square(float x, float y, float side) { return {x, y, x + side, y + side}; }

// Squares of 10 side by side, each 10 further right.
std::vector<Anchor> row_of_squares(int count) {
  std::vector<Anchor> anchors;
  for (int i = 0; i < count; ++i) anchors.push_back({static_cast<float>(10 * i + 5), 5, 10, 10});
  return anchors;
}

SsdBox found(const CornerBox& box, float score, std::vector<float> probabilities) {
  return {box, score, std::move(probabilities)};
}

}  // namespace

TEST_CASE("anchors: a cell of every level, whole or not, by area and aspect") {
  const auto anchors = make_anchors(17, 33, {{{8, {16, 20}}, {16, {40}}}, 1.0});
  // 3 x 5 cells of two, 2 x 3 of one.
  REQUIRE(anchors.size() == 36);
  CHECK(edges_of(anchors[0].box()) == std::array<float, 4>{-4, -4, 12, 12});
  CHECK(edges_of(anchors[3].box()) == std::array<float, 4>{2, -6, 22, 14});
  CHECK(anchors[10].y == 12);
  CHECK(anchors[35].x == 40);
  CHECK(anchors[35].y == 24);
  const Anchor tall = make_anchors(8, 8, {{{8, {10}}}, 4.0})[0];
  CHECK(tall.width == doctest::Approx(5));
  CHECK(tall.height == doctest::Approx(20));
}

TEST_CASE("anchors of nothing") {
  const auto fault = [](std::int64_t height, const AnchorOptions& options) {
    return message_of<std::invalid_argument>([&] { make_anchors(height, 8, options); });
  };
  CHECK(fault(0, {}) == "make_anchors: a picture of 8x0");
  CHECK(fault(8, {{{0, {4}}}, 1}) == "make_anchors: stride 0 is not positive");
  CHECK(fault(8, {{{8, {-4}}}, 1}) == "make_anchors: size -4 is not positive");
  CHECK(fault(8, {{{8, {4}}}, std::nan("")}) == "make_anchors: aspect nan is not positive");
}

TEST_CASE("a code moves its anchor and lets it grow") {
  const Anchor anchor{50, 40, 20, 30};
  // The centre goes to (54.25, 43), the sides become 46.5 and 42: (54.25 - 50) / (0.1 · 20),
  // (43 - 40) / (0.1 · 30), ln(46.5 / 20) / 0.2, ln(42 / 30) / 0.2.
  const std::array<float, 4> code = {2.125f, 1, 4.2186002f, 1.6823612f};
  CHECK(check::difference(edges_of(decode_box(code.data(), anchor)),
                          std::vector<double>{31, 22, 77.5, 64}, {1e-4, 1e-6}) == "");
}

TEST_CASE("no number of a network makes a box without bounds") {
  const std::array<float, 4> code = {0, 0, 1e30f, std::numeric_limits<float>::max()};
  const CornerBox box = decode_box(code.data(), {0, 0, 2, 4});
  CHECK(box.x1 == doctest::Approx(std::exp(4.0)));
  CHECK(box.y1 == doctest::Approx(2 * std::exp(4.0)));
}

TEST_CASE("overlap of boxes") {
  CHECK(intersection_over_union(square(0, 0, 10), square(5, 0, 10)) == doctest::Approx(1.0 / 3));
  CHECK(intersection_over_union(square(0, 0, 10), square(0, 0, 10)) == 1);
  CHECK(intersection_over_union(square(0, 0, 10), square(10, 0, 10)) == 0);
  CHECK(intersection_over_union(square(0, 0, 10), {5, 5, 5, 9}) == 0);
  CHECK(intersection_over_union({5, 5, 5, 5}, {5, 5, 5, 5}) == 0);
}

TEST_CASE("anchors stand for the face they overlap most; nearly good ones for nothing") {
  const auto anchors = row_of_squares(6);
  // Overlaps: 0.9 with anchor 0; 1/3 with 3 and 4.
  const std::vector<SsdTarget> targets = {{{1, 0, 10, 10}, 0}, {square(35, 0, 10), 1}};
  CHECK(match_anchors(anchors, targets) ==
        std::vector<int>{0, kBackground, kBackground, 1, kNothing, kBackground});
  // Of two faces on one anchor the one that overlaps more, whatever their order.
  CHECK(match_anchors(row_of_squares(1),
                      std::vector<SsdTarget>{{{0, 0, 6, 10}, 0}, {{0, 0, 9, 10}, 1}})[0] == 1);
  CHECK(match_anchors(row_of_squares(1),
                      std::vector<SsdTarget>{{{0, 0, 9, 10}, 1}, {{0, 0, 6, 10}, 0}})[0] == 0);
}

TEST_CASE("the best anchor of a face stands for it however little it overlaps") {
  const auto anchors = row_of_squares(3);
  const std::vector<SsdTarget> small = {{square(14, 4, 2), kUnknownClass}};
  CHECK(match_anchors(anchors, small) == std::vector<int>{kBackground, 0, kBackground});
  // Even where another face overlaps the anchor more, as long as that has a better one.
  const std::vector<SsdTarget> both = {{square(14, 4, 2), 0}, {{4, 0, 19, 10}, 1}};
  CHECK(match_anchors(anchors, both)[1] == 1);
  const std::vector<SsdTarget> apart = {{square(14, 4, 2), 0}, {{0, 0, 15, 10}, 1}};
  CHECK(match_anchors(anchors, apart) == std::vector<int>{1, 0, kBackground});
  // Boxes without area and far away match nothing.
  const std::vector<SsdTarget> none = {{{5, 5, 5, 9}, 0}, {square(100, 100, 5), 0}};
  CHECK(match_anchors(anchors, none) == std::vector<int>(3, kBackground));
}

TEST_CASE("ignored regions take anchors out of the loss, but no face's") {
  const auto anchors = row_of_squares(4);
  // Half of anchor 1 and all of 2 lie in it.
  const std::vector<SsdTarget> region = {{{15, -50, 31, 50}, kIgnoredRegion}};
  CHECK(match_anchors(anchors, region) ==
        std::vector<int>{kBackground, kNothing, kNothing, kBackground});
  const std::vector<SsdTarget> over_face = {region[0], {square(20, 0, 10), 0}};
  CHECK(match_anchors(anchors, over_face) ==
        std::vector<int>{kBackground, kNothing, 1, kBackground});
  const std::vector<SsdTarget> tiny = {{square(4, 4, 1), kIgnoredRegion}};
  CHECK(match_anchors(anchors, tiny)[0] == kNothing);
}

TEST_CASE("decode: sure anchors alone, with their classes") {
  const auto anchors = row_of_squares(3);
  const std::vector<float> outputs = {0, 0, 0, 0, 2,  0, std::log(3.0f),  //
                                      0, 0, 0, 0, -2, 0, 0,               //
                                      1, 0, 0, 0, 0,  5, 5};
  const auto boxes = decode(outputs, anchors, 0.5f);
  REQUIRE(boxes.size() == 2);
  CHECK(edges_of(boxes[0].box) == std::array<float, 4>{0, 0, 10, 10});
  CHECK(boxes[0].score == doctest::Approx(1 / (1 + std::exp(-2.0))));
  CHECK(boxes[0].probabilities[1] == doctest::Approx(0.75));
  CHECK(boxes[1].box.x0 == doctest::Approx(21));
  CHECK(boxes[1].score == 0.5f);
  CHECK(decode({}, {}, 0.5f).empty());
  CHECK(message_of<std::invalid_argument>([&] {
          decode({outputs.data(), 20}, anchors, 0.5f);
        }) == "decode: 20 numbers for 3 anchors");
  CHECK(message_of<std::invalid_argument>([&] {
          decode({outputs.data(), 15}, anchors, 0.5f);
        }) == "decode: 15 numbers for 3 anchors");
}

TEST_CASE("suppression keeps the surest and lets those it drops vote on corners and class") {
  const CornerBox box = square(0, 0, 10);
  const auto kept = suppress({found(square(0, 0, 7), 0.5f, {0, 1}),        // IoU 0.49: a vote
                              found({0, 0, 9, 10}, 0.4f, {0, 1}),          // 0.9: another
                              found(box, 0.8f, {1, 0}),                    //
                              found(square(6, 0, 10), 0.3f, {0.5, 0.5})},  // 0.25: another face
                             {});
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].score == 0.8f);
  CHECK(kept[0].probabilities[0] == doctest::Approx(0.8 / 1.7));
  CHECK(kept[0].probabilities[1] == doctest::Approx(0.9 / 1.7));
  CHECK(kept[0].box.x0 == 0);
  CHECK(kept[0].box.y0 == 0);
  CHECK(kept[0].box.x1 == doctest::Approx((0.8 * 10 + 0.5 * 7 + 0.4 * 9) / 1.7));
  CHECK(kept[0].box.y1 == doctest::Approx((0.8 * 10 + 0.5 * 7 + 0.4 * 10) / 1.7));
  CHECK(kept[1].score == 0.3f);
  CHECK(kept[1].box.x0 == 6);
  CHECK(kept[1].box.x1 == 16);
  CHECK(suppress({found(box, 0.1f, {1}), found(square(50, 0, 4), 0.2f, {1})}, {.candidates = 1})
            .size() == 1);
}
