// When frames of files and of bursting streams are shown, on a clock of the test's own.
#include "apps/live/play_clock.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace maskwatch;

namespace {

constexpr double kStep = 1 / 30.;

// Plays `count` frames from `time` on, each of which is there `delay` s after its time at the
// earliest, on a clock of its own; tells how many are shown.
int play(apps::PlayClock& clock, double& time, double& now, int count, double delay) {
  int shown = 0;
  for (int i = 0; i < count; ++i, time += kStep) {
    now = std::max(now + .001, time + delay);
    if (const auto wait = clock.wait(time, now)) {
      now += *wait;
      ++shown;
    }
  }
  return shown;
}

}  // namespace

TEST_CASE(
    "play clock: a file waits out its pauses, but not absurd ones, and its delays do not add up") {
  apps::PlayClock clock(false, 30);
  CHECK(clock.wait(5, 100) == 0.);
  CHECK(*clock.wait(5.04, 100.01) == doctest::Approx(.03));
  CHECK(*clock.wait(14.9, 100.04) == doctest::Approx(9.86));
  CHECK(*clock.wait(3.6e6, 109.9) == 0.);
  CHECK(*clock.wait(3.6e6 + .04, 109.9) == doctest::Approx(.04));
  CHECK(*clock.wait(9e18, 110) == 0.);
  CHECK(*clock.wait(9e18, 112) == 0.);
  CHECK(*clock.wait(0, 113) == 0.);
  apps::PlayClock slides(false, .05);  // a picture lasts 20 s
  CHECK(slides.wait(0, 0) == 0.);
  CHECK(*slides.wait(20, 0) == doctest::Approx(20));
}

TEST_CASE("play clock: bursts are spread over their time, and a short stall moves the clock") {
  apps::PlayClock clock(true, 30);
  double time = 0, now = 1000;
  CHECK(play(clock, time, now, 300, 0) == 300);
  CHECK(now - 1000 == doctest::Approx(10).epsilon(.1));
  now += 5;
  CHECK(play(clock, time, now, 900, 0) == 900);
  CHECK(now - 1000 == doctest::Approx(45).epsilon(.03));
  time += 6;  // segments that were missed
  CHECK(play(clock, time, now, 30, 0) == 30);
  CHECK(now - 1000 < 48);
}

TEST_CASE(
    "play clock: after a long stall bursts catch up, and what is slow is shown all the same") {
  apps::PlayClock clock(true, 30);
  double time = 0, now = 0;
  play(clock, time, now, 900, 0);
  const double delay = now - time;
  now += 12;
  const int shown = play(clock, time, now, 600, 0);
  CHECK(shown == doctest::Approx(600 - 12 * 30).epsilon(.05));
  CHECK(now - time == doctest::Approx(delay).epsilon(.5));

  // Nothing is there to catch up with: its frames come no faster than they are shown.
  now += 12;
  CHECK(play(clock, time, now, 600, now - time) >= 600 - 6 * 30);
}
