// Turns the timestamps of a source, which may start anywhere, jump or be missing, into times that
// start at 0 and always rise.
#pragma once

#include <optional>

namespace vision {

class FrameClock {
 public:
  // `live`: gaps that the timestamps do not tell are taken from the wall clock. `jumps`: a step of
  // more than 10 s is a new start of the source's clock, not a pause.
  FrameClock(bool live, bool jumps) : live_(live), jumps_(jumps) {}

  // Time of a frame with this timestamp (s, if it has one) that came at `now` (s, any steady clock)
  // when frames last `step` seconds.
  double next(std::optional<double> timestamp, double now, double step);

  // The next timestamp belongs to another connection.
  void reconnected() { rebase_ = true; }

  double last() const { return last_; }

 private:
  double natural_step(double now, double step) const;
  bool jumped(double time, double now) const;

  bool live_, jumps_;
  bool started_ = false, rebase_ = true;
  double offset_ = 0, last_ = 0, last_now_ = 0;
};

}  // namespace vision
