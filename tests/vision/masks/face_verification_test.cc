// What is left of a detector's finds once a classifier that knows background has seen them.
#include "vision/masks/face_verification.h"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

using namespace maskwatch;

using vision::Classification;
using vision::LabelMeaning;
using vision::LocatedFaces;

namespace {

const std::vector<LabelMeaning> kThree{LabelMeaning::background, LabelMeaning::mask,
                                       LabelMeaning::no_mask};

LocatedFaces found(const std::vector<float>& scores, bool knows_classes) {
  LocatedFaces faces;
  for (const float score : scores)  // side by side
    faces.faces.push_back({{10 * static_cast<float>(faces.faces.size()), 0, 10, 10}, score});
  if (knows_classes) {
    faces.labels = {"with_mask", "without_mask"};
    faces.probabilities.assign(scores.size(), {.5f, .5f});
  }
  return faces;
}

Classification answer(float background, float mask, float no_mask) {
  const std::vector<float> p{background, mask, no_mask};
  return {background > std::max(mask, no_mask) ? 0 : mask > no_mask ? 1 : 2, p};
}

double log_odds(double p) { return std::log(p / (1 - p)); }

}  // namespace

TEST_CASE("scores of a detector that knows classes are joined with the classifier's") {
  const auto faces = vision::verify_faces(
      {answer(.35f, .52f, .13f), answer(.2f, .2f, .6f), answer(.9f, .05f, .05f)}, kThree,
      found({.6f, .55f, .5f}, true), .5f);
  REQUIRE(faces.size() == 2);
  // The second one, of which the classifier is surer, comes first.
  CHECK(faces[0].index == 1);
  CHECK(faces[1].index == 0);
  CHECK(faces[0].score > .55f);
  const double moved = log_odds(static_cast<double>(faces[0].score)) - log_odds(.55);
  const double other = log_odds(static_cast<double>(faces[1].score)) - log_odds(.6);
  CHECK(moved > other);
  CHECK(faces[0].classification.label == 1);
  CHECK(faces[0].classification.probabilities[0] == doctest::Approx(.25));
  CHECK(faces[0].classification.probabilities[1] == doctest::Approx(.75));
  CHECK(faces[1].classification.label == 0);
  CHECK(faces[1].classification.probabilities[0] == doctest::Approx(.8));
}

TEST_CASE("of boxes around one face the surest stays") {
  LocatedFaces faces = found({.9f, .8f, .7f, .6f}, true);
  faces.faces[0].box = {0, 0, 100, 100};
  faces.faces[1].box = {40, 0, 100, 100};  // a union of 140, 60 of it shared
  faces.faces[2].box = {60, 60, 40, 200};  // most of it apart from the others
  faces.faces[3].box = {10, 10, 30, 30};   // within the first
  const Classification same = answer(.1f, .8f, .1f);
  std::vector<std::size_t> left;
  for (const auto& face : vision::verify_faces({same, same, same, same}, kThree, faces, .2f))
    left.push_back(face.index);
  CHECK(left == std::vector<std::size_t>{0, 2});
  // The second one, where the classifier doubts the first.
  left.clear();
  for (const auto& face :
       vision::verify_faces({answer(.8f, .1f, .1f), same, same, same}, kThree, faces, .2f))
    left.push_back(face.index);
  CHECK(left == std::vector<std::size_t>{1, 2, 3});
}

TEST_CASE("a candidate below the confidence becomes a face when the classifier is sure") {
  for (const float confidence : {.1f, .5f, .9f}) {
    CAPTURE(confidence);
    const float least = vision::candidate_score(confidence);
    CHECK(least < confidence);
    const auto sure = answer(1e-7f, 1, 0);
    CHECK(vision::verify_faces({sure}, kThree, found({least * 1.01f}, true), confidence).size() ==
          1);
    CHECK(vision::verify_faces({sure}, kThree, found({least * .99f}, true), confidence).empty());
  }
  CHECK(vision::candidate_score(0) < 1e-5f);
}

TEST_CASE("other detectors' scores stay, and what is likelier background goes") {
  const auto faces = vision::verify_faces({answer(.51f, .3f, .19f), answer(.49f, .3f, .21f)},
                                          kThree, found({20, 7}, false), .5f);
  REQUIRE(faces.size() == 1);
  CHECK(faces[0].index == 1);
  CHECK(faces[0].score == 7);
  CHECK(faces[0].classification.label == 0);
}

TEST_CASE("an assumed face stays, and is never background") {
  LocatedFaces whole = found({1}, false);
  whole.assumed = true;
  auto faces = vision::verify_faces({answer(.98f, .005f, .015f)}, kThree, whole, .5f);
  REQUIRE(faces.size() == 1);
  CHECK(faces[0].score == 1);
  CHECK(faces[0].classification.label == 1);
  CHECK(faces[0].classification.probability() == doctest::Approx(.75));
  faces = vision::verify_faces({answer(1, 0, 0)}, kThree, whole, .5f);
  CHECK(faces[0].classification.probability() == doctest::Approx(.5));
}

TEST_CASE("without a label of background all stays as it is") {
  const std::vector<LabelMeaning> two{LabelMeaning::mask, LabelMeaning::no_mask};
  const auto faces =
      vision::verify_faces({{0, {.9f, .1f}}, {1, {.3f, .7f}}}, two, found({.2f, .9f}, true), .5f);
  REQUIRE(faces.size() == 2);
  CHECK(faces[0].index == 0);
  CHECK(faces[0].score == .2f);
  CHECK(faces[1].classification.probabilities == std::vector<float>{.3f, .7f});
}

TEST_CASE("answers that do not fit are refused") {
  const std::vector<LabelMeaning> none{LabelMeaning::background};
  CHECK_THROWS_AS(vision::verify_faces({{0, {1}}}, none, found({.5f}, true), .5f),
                  std::invalid_argument);
  CHECK_THROWS_AS(vision::verify_faces({}, kThree, found({.5f}, true), .5f), std::invalid_argument);
  CHECK_THROWS_AS(vision::verify_faces({{0, {.5f, .5f}}}, kThree, found({.5f}, true), .5f),
                  std::invalid_argument);
}
