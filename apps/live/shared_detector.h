// One MaskDetector for all sources: while faces are found in a frame of one, those of another are
// classified. Each of the two steps is taken by one source at a time, in the order in which they
// ask, so that none starves beside one with many frames.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "vision/masks/mask_detector.h"

namespace maskwatch::apps {

// Lets in who came first.
class FairMutex {
 public:
  void lock() {
    std::unique_lock lock(mutex_);
    const std::uint64_t mine = last_++;
    changed_.wait(lock, [&] { return mine == served_; });
  }
  void unlock() {
    const std::lock_guard lock(mutex_);
    ++served_;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t last_ = 0, served_ = 0;
};

struct SharedDetector {
  explicit SharedDetector(const MaskDetectorOptions& options) : detector(options) {}

  MaskDetector detector;
  FairMutex finding, classifying;  // held by who does that; another face detector: the first
};

}  // namespace maskwatch::apps
