#include "vision/masks/label_vote.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

#include "base/random.h"

using namespace maskwatch;

namespace {

constexpr double kFrame = 1 / 30.;  // s

}  // namespace

TEST_CASE("one wrong vote in a while changes no label, a mask put on does") {
  vision::LabelVote vote;
  CHECK(vote.label() == -1);
  CHECK(vote.confidence() == 0);
  const std::vector<float> bare{.1f, .9f}, mask{.95f, .05f};
  for (int i = 0; i < 60; ++i) {
    vote.add(i * kFrame, i % 7 == 3 ? mask : bare);
    CHECK(vote.label() == 1);
  }
  CHECK(vote.since() == 0);
  int needed = 0;
  for (; vote.label() == 1 && needed < 30; ++needed) vote.add((60 + needed) * kFrame, mask);
  CHECK(needed >= 3);
  CHECK(needed <= 9);
  CHECK(vote.since() == doctest::Approx((59 + needed) * kFrame));
  for (int i = 0; i < 60; ++i) vote.add((70 + i) * kFrame, mask);
  CHECK(vote.confidence() > .9f);
  const std::vector<float> three{.1f, .1f, .8f};
  CHECK_THROWS_AS(vote.add(9, three), std::invalid_argument);
}

TEST_CASE("votes that waver about even keep the label, and three labels can follow each other") {
  Random random({8});
  vision::LabelVote vote;
  for (int i = 0; i < 20; ++i) vote.add(i * kFrame, std::vector<float>{.2f, .8f});
  for (int i = 20; i < 600; ++i) {
    const auto mask = static_cast<float>(.42 + .15 * random.bounded_normal());
    vote.add(i * kFrame, std::vector<float>{mask, 1 - mask});
    REQUIRE(vote.label() == 1);
  }
  vision::LabelVote of_three;
  for (int i = 0; i < 90; ++i) {
    std::vector<float> votes(3, .1f);
    votes[static_cast<std::size_t>(i / 30)] = .8f;
    of_three.add(i * kFrame, votes);
    if (i % 30 >= 10) CHECK(of_three.label() == i / 30);
  }
}

TEST_CASE(
    "the confidence is the label's own: a look that says something else does not go under even") {
  const std::vector<float> bare{.04f, .96f}, mask{.97f, .03f};
  for (const double step : {kFrame, .2, 1., 5.}) {
    CAPTURE(step);
    vision::LabelVote vote;
    double time = 0;
    for (int i = 0; i < 60; ++i) vote.add(time += step, bare);
    CHECK(vote.confidence() == doctest::Approx(.96));
    vote.add(time += step, mask);
    CHECK(vote.label() == 1);
    CHECK(vote.confidence() >= .5f);
    CHECK(vote.confidence() < .95f);
    while (vote.label() == 1) {
      CHECK(vote.confidence() >= .5f);
      vote.add(time += step, mask);
    }
    CHECK(vote.confidence() == doctest::Approx(.97));
  }
  Random random({9});
  vision::LabelVote wavering;
  for (int i = 0; i < 500; ++i) {
    const auto masked = static_cast<float>(random.uniform());
    wavering.add(.5 * i, std::vector<float>{masked, 1 - masked});
    REQUIRE(wavering.confidence() >= .5f);
    REQUIRE(wavering.confidence() <= 1);
  }
}
