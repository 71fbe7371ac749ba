#include "vision/masks/label_fusion.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

using namespace maskwatch;
using vision::Classification;
using vision::LocatedFaces;

namespace {

using Labels = std::vector<std::string>;
using Probabilities = std::vector<float>;

const Labels kTwo{"with_mask", "without_mask"};
const Labels kThree{"with_mask", "without_mask", "mask_worn_wrongly"};

// One face of which the classifier says `own` and the detector `other`.
Classification fused(const Labels& labels, const Probabilities& own, const Labels& detector_labels,
                     const Probabilities& other, float weight = .5f) {
  LocatedFaces found{{{{0, 0, 10, 10}, 1}}, 0, detector_labels, {other}};
  auto faces = vision::fuse_labels({{0, own}}, vision::meanings_of(labels), found, weight);
  REQUIRE(faces.size() == 1);
  const auto& probabilities = faces[0].probabilities;
  CHECK(std::accumulate(probabilities.begin(), probabilities.end(), 0.0) == doctest::Approx(1));
  CHECK(faces[0].probability() == *std::max_element(probabilities.begin(), probabilities.end()));
  return faces[0];
}

double log_odds(double p) { return std::log(p / (1 - p)); }

void check_probabilities(const Classification& face, const Probabilities& wanted) {
  REQUIRE(face.probabilities.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(i);
    CHECK(face.probabilities[i] == doctest::Approx(wanted[i]).epsilon(1e-4));
  }
}

}  // namespace

TEST_CASE("of two classes the log odds are the weighted mean") {
  for (const float weight : {0.f, .25f, .5f, 1.f})
    for (const auto& [a, b] : {std::pair(.9f, .2f), {.1f, .05f}, {.5f, .99f}}) {
      const auto face = fused(kTwo, {a, 1 - a}, kTwo, {b, 1 - b}, weight);
      CHECK(log_odds(face.probabilities[0]) ==
            doctest::Approx((1 - weight) * log_odds(a) + weight * log_odds(b)).epsilon(1e-3));
    }
  CHECK(fused(kTwo, {.6f, .4f}, kTwo, {.1f, .9f}).label == 1);
  CHECK(fused(kTwo, {.9f, .1f}, kTwo, {.4f, .6f}).label == 0);
}

TEST_CASE("labels are joined by what they mean, in any order") {
  check_probabilities(fused(kTwo, {.6f, .4f}, {"NoMask", "Mask"}, {.6f, .4f}), {.5f, .5f});
  // The geometric means are .2, .4 and .2.
  check_probabilities(
      fused({"worn_wrongly", "mask", "no_mask"}, {.1f, .8f, .1f}, kThree, {.2f, .4f, .4f}),
      {.25f, .5f, .25f});
}

TEST_CASE("a mask worn wrongly is a mask for a classifier that does not know such") {
  check_probabilities(fused(kTwo, {.5f, .5f}, kThree, {.1f, .2f, .7f}, 1), {.8f, .2f});
  check_probabilities(fused(kThree, {.4f, .3f, .3f}, kThree, {.1f, .2f, .7f}, 1), {.1f, .2f, .7f});
}

TEST_CASE("what the detector does not know stays as the classifier says") {
  check_probabilities(fused(kThree, {.4f, .4f, .2f}, kTwo, {.9f, .1f}, 1), {.72f, .08f, .2f});
  check_probabilities(
      fused({"mask", "no_mask", "beard"}, {.2f, .2f, .6f}, kThree, {.25f, .75f, 0}, 1),
      {.1f, .3f, .6f});
  check_probabilities(fused({"cat", "mask"}, {.7f, .3f}, kThree, {1, 0, 0}), {.7f, .3f});
  check_probabilities(fused(kTwo, {.7f, .3f}, {"left", "right"}, {0, 1}), {.7f, .3f});
}

TEST_CASE("classes of one meaning keep their proportion") {
  check_probabilities(fused({"mask", "masked", "no_mask"}, {.3f, .1f, .6f}, kTwo, {.8f, .2f}, 1),
                      {.6f, .2f, .2f});
  check_probabilities(fused({"mask", "masked", "no_mask"}, {0, 0, 1}, kTwo, {1, 0}, 1),
                      {.5f, .5f, 0});
}

TEST_CASE("nobody is so sure that the other counts for nothing") {
  const auto face = fused(kTwo, {1, 0}, kTwo, {0, 1});
  check_probabilities(face, {.5f, .5f});
  CHECK(fused(kTwo, {1, 0}, kTwo, {.3f, .7f}).label == 0);
}

TEST_CASE("without classes of the detector nothing changes, and lists must fit") {
  const std::vector<Classification> classes{{1, {.25f, .75f}}};
  const auto two = vision::meanings_of(kTwo), three = vision::meanings_of(kThree);
  LocatedFaces found{{{{0, 0, 10, 10}, 1}}, 0};
  CHECK(vision::fuse_labels(classes, two, found)[0].probabilities == classes[0].probabilities);
  found.labels = kTwo;
  CHECK_THROWS_AS(vision::fuse_labels(classes, two, found), std::invalid_argument);
  found.probabilities = {{.1f, .8f, .1f}};
  CHECK_THROWS_AS(vision::fuse_labels(classes, two, found), std::invalid_argument);
  found.probabilities = {{.1f, .9f}};
  CHECK_THROWS_AS(vision::fuse_labels(classes, three, found), std::invalid_argument);
  CHECK_NOTHROW(vision::fuse_labels(classes, two, found));
}
