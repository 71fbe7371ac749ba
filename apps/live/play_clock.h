// When the frames of a source that is shown at its own speed are due. All times and durations in s.
#pragma once

#include <optional>

namespace maskwatch::apps {

class PlayClock {
 public:
  // `bursts`: for a live source whose frames come many at a time (VideoSource::bursts), which must
  // not fall further and further behind.
  PlayClock(bool bursts, double fps);

  // How long after `now` (any steady clock) the frame whose time is `time` is due. Nullopt: it is
  // not shown, to catch up after a long stall of a source that comes in bursts. Frames that are
  // late or far ahead are not waited for: the video plays on from there.
  std::optional<double> wait(double time, double now);

  // The next frame says nothing about those before it.
  void start_again() { started_ = false; }

 private:
  void start(double time, double now);
  double late(double time, double now) const { return now - at_ - (time - time_); }
  std::optional<double> catch_up(double time, double now);

  const bool bursts_;
  const double longest_gap_;
  bool started_ = false;
  double time_ = 0, at_ = 0;      // a frame of time time_ is due at at_
  double began_ = 0;              // wall clock of the latest start
  double behind_ = 0;             // by which stalls have moved at_ since
  double last_ = 0;               // wall clock of the latest call
  double catching_up_until_ = 0;  // wall clock; 0: not at it
};

}  // namespace maskwatch::apps
