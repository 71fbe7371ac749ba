#include "vision/video/frame_clock.h"

#include <algorithm>
#include <cmath>

namespace maskwatch::vision {
namespace {

constexpr double kDisorder = 0.25;   // s: less than this backwards is a frame out of order
constexpr double kLongestGap = 10;   // s, as ffmpeg's dts_delta_threshold
constexpr double kLeastStep = 1e-4;  // s
constexpr double kLatest = 1e9;      // s: 1e9 + kLeastStep still rises
// s, of 3000 years; to within 2e-5 s.
constexpr double kLatestTimestamp = 1e11;

}  // namespace

void FrameClock::connected(double now) {
  if (!started_) begun_ = now;
  connected_ = now;
  fresh_ = started_;
  rebase_ = true;
}

bool FrameClock::jumped(double time, double now) const {
  if (time < last_ - kDisorder || time > kLatest) return true;
  const double waited = live_ ? now - last_now_ : 0;
  return jumps_ && time > last_ + waited + kLongestGap;
}

// For a frame whose timestamp says nothing.
double FrameClock::guess(double now, double step) const {
  if (!started_) return 0;
  if (fresh_) return std::max(last_ + step, connected_ - begun_);
  return last_ + (live_ ? std::max(kLeastStep, now - last_now_) : step);
}

double FrameClock::next(std::optional<double> timestamp, double now, double step) {
  if (timestamp && !(std::abs(*timestamp) <= kLatestTimestamp)) timestamp.reset();
  if (timestamp && !rebase_) rebase_ = jumped(*timestamp + offset_, now);
  const bool known = timestamp && !rebase_;
  const double time = known ? std::max(*timestamp + offset_, last_ + kLeastStep) : guess(now, step);
  if (timestamp && rebase_) {
    offset_ = time - *timestamp;
    rebase_ = false;
  }
  started_ = true;
  fresh_ = false;
  last_ = time;
  last_now_ = now;
  return time;
}

}  // namespace maskwatch::vision
