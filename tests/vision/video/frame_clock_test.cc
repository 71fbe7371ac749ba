#include "vision/video/frame_clock.h"

#include <doctest/doctest.h>

#include <limits>
#include <optional>

using namespace maskwatch;

using vision::FrameClock;

namespace {
constexpr double step = 0.04;
}

TEST_CASE("frame_clock: times start at 0 and follow the timestamps") {
  FrameClock clock(false, false);
  CHECK(clock.next(100.0, 5, step) == 0);
  CHECK(clock.next(100.04, 5, step) == doctest::Approx(0.04));
  CHECK(clock.next(100.5, 5, step) == doctest::Approx(0.5));
  CHECK(clock.next(160.0, 5, step) == doctest::Approx(60));  // a pause in a file is a pause
}

TEST_CASE("frame_clock: frames out of order and equal times still rise, and nothing drifts") {
  FrameClock clock(false, false);
  clock.next(0.0, 0, step);
  double last = clock.next(0.12, 0, step);
  for (const double late : {0.04, 0.08, 0.12, 0.12}) {
    const double time = clock.next(late, 0, step);
    CHECK(time > last);
    CHECK(time < last + 0.001);
    last = time;
  }
  CHECK(clock.next(0.16, 0, step) == doctest::Approx(0.16));
}

TEST_CASE("frame_clock: without timestamps frames follow at the nominal rate") {
  FrameClock clock(false, false);
  for (int i = 0; i < 5; ++i) CHECK(clock.next(std::nullopt, 0, step) == doctest::Approx(i * step));
  CHECK(clock.next(7.0, 0, step) == doctest::Approx(5 * step));
  CHECK(clock.next(7.1, 0, step) == doctest::Approx(5 * step + 0.1));
}

TEST_CASE("frame_clock: a clock that starts anew goes on with the next frame") {
  FrameClock clock(false, true);
  clock.next(50.0, 0, step);
  clock.next(51.0, 0, step);
  CHECK(clock.next(0.0, 0, step) == doctest::Approx(1.04));
  CHECK(clock.next(0.5, 0, step) == doctest::Approx(1.54));
  CHECK(clock.next(9000.0, 0, step) == doctest::Approx(1.58));
  CHECK(clock.next(9000.1, 0, step) == doctest::Approx(1.68));
}

TEST_CASE("frame_clock: a live source that was away comes back at the time of the wall clock") {
  FrameClock clock(true, true);
  clock.connected(99.5);
  CHECK(clock.next(10.0, 100, step) == 0);
  CHECK(clock.next(11.0, 101, step) == doctest::Approx(1));
  clock.connected(104);
  CHECK(clock.next(0.0, 104.4, step) == doctest::Approx(4.5));
  CHECK(clock.next(0.2, 104.4, step) == doctest::Approx(4.7));
  // A still scene of 20 s in which nothing was sent is a jump that the wall clock confirms.
  CHECK(clock.next(20.2, 124.4, step) == doctest::Approx(24.7));
  // The last frame of a connection, which comes only when its time-out has passed.
  CHECK(clock.next(20.24, 134.4, step) == doctest::Approx(24.74));
  clock.connected(134.5);
  CHECK(clock.next(7.0, 135, step) == doctest::Approx(35));
  // One that runs ahead is waited for, but never goes back.
  CHECK(clock.next(12.0, 135.1, step) == doctest::Approx(40));
  clock.connected(136);
  CHECK(clock.next(0.0, 136, step) == doctest::Approx(40.04));
}

TEST_CASE("frame_clock: a live source without timestamps follows the wall clock") {
  FrameClock clock(true, true);
  clock.connected(100);
  clock.next(std::nullopt, 100, step);
  CHECK(clock.next(std::nullopt, 101, step) == doctest::Approx(1));
  const double burst = clock.next(std::nullopt, 101, step);
  CHECK(burst > 1);
  CHECK(burst < 1.001);
  clock.connected(103);
  CHECK(clock.next(std::nullopt, 103, step) == doctest::Approx(3));
  CHECK(clock.next(std::nullopt, 103.5, step) == doctest::Approx(3.5));
  CHECK(clock.next(3.0, 103.6, step) == doctest::Approx(3.6));
  CHECK(clock.next(3.5, 104.6, step) == doctest::Approx(4.1));
}

TEST_CASE("frame_clock: absurd timestamps leave times that rise and are finite") {
  for (const bool live : {false, true})
    for (const double absurd :
         {9e15, 9.2e18, -9e15, 2e28, 5e9, -5e9, 1e9 + 1, std::numeric_limits<double>::infinity(),
          std::numeric_limits<double>::quiet_NaN()}) {
      CAPTURE(absurd);
      FrameClock clock(live, live);
      double last = clock.next(0.0, 0, step);
      for (int i = 1; i < 200; ++i) {
        const double wished = i % 3 == 0 ? i * step : absurd + i % 3 * step;
        const double time = clock.next(wished, i * step, step);
        CHECK(time > last);
        CHECK(time < 1.1e9);
        last = time;
      }
    }
}

TEST_CASE("frame_clock: a clock that counts from 1900 goes on as evenly as one from 0") {
  FrameClock clock(false, false);
  for (int i = 0; i < 100; ++i)
    CHECK(clock.next(3.9e9 + i * step, 0, step) == doctest::Approx(i * step).epsilon(1e-5));
}
