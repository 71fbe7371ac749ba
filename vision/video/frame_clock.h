// Turns the timestamps of a source, which may start anywhere, jump or be missing, into times that
// start at 0, always increase, and stay within the range where a double and 64-bit nanoseconds
// resolve them.
#pragma once

#include <optional>

namespace maskwatch::vision {

class FrameClock {
 public:
  // `live`: gaps that the timestamps do not tell are taken from the wall clock. `jumps`: a step of
  // more than 10 s is a new start of the source's clock, not a pause. So is, of any source, one
  // beyond 1e9 s (32 years).
  FrameClock(bool live, bool jumps) : live_(live), jumps_(jumps) {}

  // What follows belongs to a connection whose first frame came at `now` (s, any steady clock): it
  // is as long after the very first one as the wall clock says, whatever was lost between.
  void connected(double now);

  // Time of a frame with this timestamp (s, if it has one; one of more than 1e11 s says nothing)
  // that came at `now` when frames last `step` seconds.
  double next(std::optional<double> timestamp, double now, double step);

 private:
  bool jumped(double time, double now) const;
  double guess(double now, double step) const;

  bool live_, jumps_;
  bool started_ = false;
  bool fresh_ = false;   // a connection has given no frame yet
  bool rebase_ = true;   // the next timestamp says nothing about the frames before it
  double offset_ = 0;    // time less timestamp
  double last_ = 0;      // time of the latest frame
  double last_now_ = 0;  // when it came
  double begun_ = 0, connected_ = 0;
};

}  // namespace maskwatch::vision
