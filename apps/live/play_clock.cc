#include "apps/live/play_clock.h"

#include <algorithm>

namespace maskwatch::apps {
namespace {

constexpr double kBehind = .25;          // later than this it plays on from here
constexpr double kLongestGap = 10;       // of a file, as ffmpeg's dts_delta_threshold
constexpr double kLongestBurstsGap = 2;  // segments that were missed are not waited for
constexpr double kCushion = .5;          // a segment may come so much later than the one before
constexpr double kMostBehind = 8;        // about two segments
constexpr double kStall = 1;             // what is shorter is the unevenness of segments
// The first stalls tell how late segments may be: without them there would be no cushion.
constexpr double kSettling = 15;
constexpr double kMostCatchingUp = 5;  // what cannot be decoded faster than this never catches up
constexpr double kLeastFps = 1 / 60.;

}  // namespace

PlayClock::PlayClock(bool bursts, double fps)
    : bursts_(bursts),
      longest_gap_(
          std::max(bursts ? kLongestBurstsGap : kLongestGap, 2 / std::max(fps, kLeastFps))) {}

void PlayClock::start(double time, double now) {
  started_ = true;
  time_ = time;
  at_ = now + (bursts_ ? kCushion : 0);
  began_ = now;
  behind_ = catching_up_until_ = 0;
}

std::optional<double> PlayClock::wait(double time, double now) {
  if (!started_ || -late(time, now) > longest_gap_) start(time, now);
  if (catching_up_until_ > 0 || late(time, now) > kBehind) {
    if (bursts_) return catch_up(time, now);
    start(time, now);
  }
  last_ = now;
  return std::max(0., -late(time, now));
}

// A short stall moves the clock. A long one, or several, would leave the video far behind what its
// source has to give: then late frames are left out until it is back where it began, or has to
// wait for frames again, so that there is nothing more to catch up with.
std::optional<double> PlayClock::catch_up(double time, double now) {
  const double lateness = late(time, now), waited = now - last_;
  last_ = now;
  if (catching_up_until_ > 0) {
    if (lateness <= kBehind)
      catching_up_until_ = 0;
    else if (waited > kStall || now > catching_up_until_)
      start(time, now);
    else
      return std::nullopt;
    return std::max(0., -late(time, now));
  }
  const bool counts = lateness > kStall && now - began_ > kSettling;
  if (counts && behind_ + lateness > kMostBehind) {
    at_ -= behind_;
    behind_ = 0;
    catching_up_until_ = now + kMostCatchingUp;
    return std::nullopt;
  }
  at_ += lateness + kCushion;
  if (counts) behind_ += lateness + kCushion;
  return std::max(0., -late(time, now));
}

}  // namespace maskwatch::apps
