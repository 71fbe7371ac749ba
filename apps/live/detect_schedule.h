// In which frames of a video faces are looked for: every N-th, or as many as a frame rate allows.
// For one thread, except observed().
#pragma once

#include <atomic>
#include <cstdint>

namespace maskwatch::apps {

class DetectSchedule {
 public:
  // `every` 0: so that looking takes no more time than there is at `fps` frames a second.
  DetectSchedule(int every, double fps) : every_(every), fps_(fps) {}

  // Whether it is the next frame's turn.
  bool due();
  // The last due frame could not be looked at: the next one is due in its place.
  void missed() { since_ = kNever; }
  // From any thread: looking at a frame takes this long now, in seconds.
  void observed(double seconds) { cost_ = seconds; }
  int every() const;

 private:
  static constexpr int kNever = 1 << 30;
  int every_;
  double fps_;
  std::atomic<double> cost_{0};
  int since_ = kNever;  // frames since the last one that was due
};

}  // namespace maskwatch::apps
