#include "vision/frame_clock.h"

#include <algorithm>

namespace vision {
namespace {

constexpr double kDisorder = 0.25;   // s: less than this backwards is a frame out of order
constexpr double kLongestGap = 10;   // s, as ffmpeg's dts_delta_threshold
constexpr double kLeastStep = 1e-4;  // s

}  // namespace

double FrameClock::natural_step(double now, double step) const {
  return live_ ? std::max(step, now - last_now_) : step;
}

bool FrameClock::jumped(double time, double now) const {
  if (time < last_ - kDisorder) return true;
  const double waited = live_ ? now - last_now_ : 0;
  return jumps_ && time > last_ + waited + kLongestGap;
}

double FrameClock::next(std::optional<double> timestamp, double now, double step) {
  double time = 0;
  if (started_) {
    time = last_ + natural_step(now, step);
    if (timestamp && !rebase_ && !jumped(*timestamp + offset_, now))
      time = std::max(*timestamp + offset_, last_ + kLeastStep);
    else if (timestamp)
      rebase_ = true;
  }
  if (rebase_ && timestamp) offset_ = time - *timestamp;
  rebase_ = rebase_ && !timestamp;
  started_ = true;
  last_ = time;
  last_now_ = now;
  return time;
}

}  // namespace vision
