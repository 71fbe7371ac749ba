// Tracks against drawn truth: walks with known positions, seen through a detector that errs.
#include "vision/masks/tracker.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include "tests/vision/masks/moving_boxes.h"
#include "vision/image/geometry.h"

using namespace maskwatch;

using namespace moving_boxes;

namespace {

using vision::Box;
using vision::Observation;
using vision::TrackChange;
using vision::Tracker;
using vision::TrackEvent;

Observation masked(const Box& box, float probability = .9f) {
  return {box, 1, {probability, 1 - probability}};
}

// Which track each person has in each frame; what happened.
struct Watch {
  Tracker tracker;
  std::map<int, std::set<std::int64_t>> numbers;  // of each person
  std::vector<TrackEvent> events;
  int found = 0;

  void look(double time, const std::vector<Observation>& seen) {
    for (TrackEvent& event : tracker.update(time, seen)) events.push_back(event);
  }
  // `person` truly is at `box`.
  void check(double time, int person, const Box& box) {
    for (const vision::Track& track : tracker.at(time))
      if (vision::intersection_over_union(track.box, box) > .5f) {
        numbers[person].insert(track.number);
        ++found;
      }
  }
};

}  // namespace

TEST_CASE("a face that is hidden by a nearer one keeps its label") {
  Watch watch;
  for (int frame = 0; frame < 90; ++frame) {
    const Box back = centred(100 + frame, 200, 80), front = centred(230 - frame, 215, 90);
    const bool overlap = vision::intersection_over_union(back, front) > .1f;
    watch.look(frame * kFrame, {masked(back, overlap ? .95f : .05f), masked(front, .95f)});
    for (const vision::Track& track : watch.tracker.at(frame * kFrame))
      CHECK(track.label == (track.number == 1 ? 1 : 0));
  }
  CHECK(watch.tracker.people() == 2);
}

TEST_CASE("a face that the edge of the picture cuts off stays one person") {
  Watch watch;
  for (int frame = 0; frame < 60; ++frame) {
    Box truth = centred(480 + 5 * frame, 200, 140);
    truth.width = std::min(truth.width, 640 - truth.x);
    if (truth.width > 20) watch.look(frame * kFrame, {masked(truth)});
  }
  CHECK(watch.tracker.people() == 1);
}

TEST_CASE("a face is believed after a fifth of a second, keeps its number, and leaves") {
  Watch watch;
  int frame = 0;
  for (; frame < 6; ++frame) {
    watch.look(frame * kFrame, {masked(centred(100 + frame, 100, 60))});
    CHECK(watch.tracker.at(frame * kFrame).empty());
  }
  for (; frame < 60; ++frame) {
    const Box truth = centred(100 + frame, 100, 60);
    watch.look(frame * kFrame, {masked(truth)});
    watch.check(frame * kFrame, 0, truth);
  }
  CHECK(watch.found == 54);
  CHECK(watch.numbers[0] == std::set<std::int64_t>{1});
  for (; frame < 150; ++frame) watch.look(frame * kFrame, {});
  CHECK(watch.tracker.at(frame * kFrame).empty());
  REQUIRE(watch.events.size() == 2);
  CHECK(watch.events[0].change == TrackChange::appeared);
  CHECK(watch.events[0].track.label == 0);
  CHECK(watch.events[0].track.first_seen == 0);
  CHECK(watch.events[1].change == TrackChange::left);
  CHECK(watch.events[1].time == doctest::Approx(59 * kFrame));
  CHECK(watch.events[1].track.box.x == doctest::Approx(centred(159, 100, 60).x).epsilon(.02));
  CHECK(watch.tracker.finish().empty());
}

TEST_CASE("three sightings that lie apart are enough, and two never are") {
  for (const int sightings : {2, 3}) {
    Tracker tracker;
    for (int i = 0; i < sightings; ++i)
      tracker.update(.3 * i, std::vector<Observation>{masked(centred(100, 100, 60))});
    CHECK(tracker.people() == (sightings == 3));
  }
}

TEST_CASE("what is taken for a face in four frames that follow one another is nobody") {
  Tracker tracker;
  for (int frame = 0; frame < 60; ++frame) {
    std::vector<Observation> seen;
    if (frame < 4) seen.push_back(masked(centred(100, 100, 60)));
    tracker.update(frame * kFrame, seen);
  }
  CHECK(tracker.people() == 0);
}

TEST_CASE("where faces count from a score, people begin with one above it, and at most with 1") {
  CHECK(vision::tracker_options(.5f).confirm_score == .7f);
  CHECK(vision::tracker_options(.9f).confirm_score == 1);
  CHECK(vision::tracker_options(.9f).end_after == vision::TrackerOptions().end_after);
}

TEST_CASE("to begin a person takes surer faces than to go on with one") {
  Tracker tracker(vision::tracker_options(.5f));
  const auto look = [&](int frame, float score) {
    tracker.update(frame * .1, std::vector<Observation>{{{10, 10, 40, 50}, score, {.9f, .1f}}});
  };
  for (int frame = 0; frame < 20; ++frame) look(frame, .6f);
  look(20, .7f);
  look(21, .9f);
  CHECK(tracker.people() == 0);
  look(22, .8f);
  CHECK(tracker.people() == 1);
  for (int frame = 23; frame < 60; ++frame) look(frame, .5f);
  REQUIRE(tracker.at(5.9).size() == 1);
  CHECK(tracker.at(5.9)[0].state == vision::TrackState::confirmed);
  CHECK(tracker.people() == 1);
}

TEST_CASE("false detections that come and go are nobody") {
  Watch watch;
  Random random({3});
  for (int frame = 0; frame < 300; ++frame) {
    const Box truth = centred(100 + frame, 200, 80);
    std::vector<Observation> seen{masked(jitter(truth, random))};
    if (random.chance(.15))
      seen.push_back(masked(centred(random.uniform(0, 640), random.uniform(0, 480), 50)));
    watch.look(frame * kFrame, seen);
    watch.check(frame * kFrame, 0, truth);
  }
  CHECK(watch.tracker.people() == 1);
  CHECK(watch.numbers[0].size() == 1);
}

TEST_CASE("one face found twice in a frame is one person") {
  Watch watch;
  for (int frame = 0; frame < 60; ++frame)
    watch.look(frame * kFrame, {masked(centred(200, 200, 80)), masked(centred(204, 203, 88)),
                                masked(centred(200, 200, 45))});
  CHECK(watch.tracker.people() == 1);
}

TEST_CASE("somebody hidden for a second and a half keeps the number") {
  Watch watch;
  Random random({4});
  for (int frame = 0; frame < 150; ++frame) {
    const Box truth = centred(50 + 3 * frame, 200, 80);
    std::vector<Observation> seen;
    if (frame < 50 || frame >= 95) seen.push_back(masked(jitter(truth, random)));
    watch.look(frame * kFrame, seen);
    watch.check(frame * kFrame, 0, truth);
  }
  CHECK(watch.tracker.people() == 1);
  CHECK(watch.numbers[0].size() == 1);
  CHECK(watch.found >= 150 - 6 - 30);  // expected for half a second, then not shown
}

TEST_CASE("nobody is expected to be where nobody has looked for long") {
  Watch watch;
  for (int frame = 0; frame < 30; ++frame)
    watch.look(frame * kFrame, {masked(centred(200, 200, 100))});
  const double last = 29 * kFrame;
  CHECK(watch.tracker.at(last + 1.9).size() == 1);  // a slow detector
  CHECK(watch.tracker.at(last + 2.1).empty());      // a source that was lost
}

TEST_CASE("looks may lie as far apart as one likes: who is found again is the same person") {
  for (const double interval : {.5, 1.9, 2.1, 4., 30.}) {
    CAPTURE(interval);
    Watch watch;
    Random random({8});
    const Box truth = centred(200, 200, 100);
    int look = 0;
    for (; look < 10; ++look) {
      const bool missed = interval > 2 && look == 6;
      watch.look(look * interval,
                 missed ? std::vector<Observation>{} : std::vector{masked(jitter(truth, random))});
      if (look >= 2 && !missed) watch.check((look + .9) * interval, 0, truth);
    }
    CHECK(watch.tracker.people() == 1);
    CHECK(watch.found >= 7);
    for (; look < 20; ++look) watch.look(look * interval, {});
    REQUIRE(watch.events.size() == 2);
    CHECK(watch.events[1].change == TrackChange::left);
  }
}

TEST_CASE("one long gap between looks, of a source that was lost, keeps nobody") {
  Watch watch;
  for (int frame = 0; frame < 30; ++frame)
    watch.look(frame * kFrame, {masked(centred(200, 200, 100))});
  watch.look(20, {});
  CHECK(watch.events.back().change == TrackChange::left);
}

TEST_CASE("two people who cross keep their numbers") {
  int swaps = 0, extra = 0, runs = 0;
  for (const int every : {1, 2, 3})
    for (const double speed : {60., 120., 240.})
      for (const double apart : {0., 8., 20.})  // in height; the nearer face hides the other one
        for (std::uint64_t seed = 0; seed < 10; ++seed, ++runs) {
          Watch watch;
          Random random({seed, 5});
          const auto frames = static_cast<int>(560 / speed / kFrame);
          for (int frame = 0; frame < frames; ++frame) {
            const double time = frame * kFrame;
            const Box front = centred(40 + speed * time, 200, 80);
            const Box back = centred(600 - speed * time, 200 + apart, 70);
            std::vector<Observation> seen;
            if (!random.chance(.05)) seen.push_back(masked(jitter(front, random), .9f));
            const bool hidden = vision::intersection_over_union(front, back) > .2f;
            if (!hidden && !random.chance(.05)) seen.push_back(masked(jitter(back, random), .1f));
            if (frame % every == 0) watch.look(time, seen);
            if (hidden) continue;
            watch.check(time, 0, front);
            watch.check(time, 1, back);
          }
          CAPTURE(every);
          CAPTURE(speed);
          CAPTURE(apart);
          CAPTURE(seed);
          swaps += watch.numbers[0].size() != 1 || watch.numbers[1].size() != 1 ||
                   watch.numbers[0] == watch.numbers[1];
          extra += watch.tracker.people() != 2;
          CHECK(watch.found > frames * 1.2);
        }
  CAPTURE(runs);
  CHECK(swaps == 0);
  CHECK(extra == 0);
}

TEST_CASE("two who meet and turn back keep their numbers") {
  Watch watch;
  Random random({6});
  for (int frame = 0; frame < 240; ++frame) {
    const double way = 150 * (1 - std::cos(frame / 240. * 2 * 3.14159265));
    const Box left = centred(60 + way * .75, 200, 80), right = centred(580 - way * .75, 210, 80);
    watch.look(frame * kFrame, {masked(jitter(right, random)), masked(jitter(left, random))});
    watch.check(frame * kFrame, 0, left);
    watch.check(frame * kFrame, 1, right);
  }
  CHECK(watch.tracker.people() == 2);
  CHECK(watch.numbers[0].size() == 1);
  CHECK(watch.numbers[1].size() == 1);
}

TEST_CASE("six people walk about: one number each") {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Watch watch;
    Random random({seed, 7});
    for (int frame = 0; frame < 400; ++frame) {
      std::vector<Observation> seen;
      std::vector<Box> truth;
      for (int person = 0; person < 6; ++person) {
        const double turn = frame * kFrame * (.3 + .07 * person) + person;
        truth.push_back(centred(320 + 240 * std::sin(turn), 60 + 70 * person, 40 + 5 * person));
        if (!random.chance(.1)) seen.push_back(masked(jitter(truth.back(), random)));
      }
      std::reverse(seen.begin() + frame % 2, seen.end());
      watch.look(frame * kFrame, seen);
      for (int person = 0; person < 6; ++person)
        watch.check(frame * kFrame, person, truth[static_cast<std::size_t>(person)]);
    }
    CHECK(watch.tracker.people() == 6);
    for (int person = 0; person < 6; ++person) CHECK(watch.numbers[person].size() == 1);
  }
}

TEST_CASE("times that stand still or go back, absurd boxes and no faces do no harm") {
  Tracker tracker;
  CHECK(tracker.finish().empty());
  CHECK(tracker.at(5).empty());
  for (const double time : {1., 1., .5, 3., 2.9, 1e9})
    tracker.update(time, std::vector<Observation>{masked(centred(10, 10, 20)), masked({0, 0, 0, 0}),
                                                  masked({-1e6f, 3, 2e6f, 1e-3f})});
  for (const vision::Track& track : tracker.at(1e9 + 1)) CHECK(std::isfinite(track.box.x));
  CHECK(tracker.finish().size() <= 3);
}

TEST_CASE("the number of probabilities cannot change") {
  Tracker tracker;
  tracker.update(0, std::vector<Observation>{masked({10, 10, 40, 50})});
  const std::vector<Observation> other{{{10, 10, 40, 50}, 1, {.2f, .3f, .5f}}};
  CHECK_THROWS_AS(tracker.update(.1, other), std::invalid_argument);
}
