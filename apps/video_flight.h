// A frame on its way through the pipeline, and the frames that are used again and again.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "vision/face_detector.h"
#include "vision/tracker.h"
#include "vision/video_source.h"

namespace apps {

using Clock = std::chrono::steady_clock;

inline double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// Written by one thread at a time: capture, then detection, then classification, each before it
// hands the frame on; `tracks` and `ready` are guarded by the pipeline's mutex.
struct Flight {
  vision::VideoFrame frame;
  Clock::time_point captured;
  bool due = false;  // faces are looked for

  std::vector<vision::Detection> faces;
  float margin = 0;  // of the detector that found them

  std::vector<vision::Track> tracks;
  bool ready = false;
};

// Hands out flights whose pictures keep their memory. The flights may outlive the pool.
class FlightPool {
 public:
  std::shared_ptr<Flight> take();

 private:
  struct Store {
    std::mutex mutex;
    std::vector<std::unique_ptr<Flight>> free;
  };
  std::shared_ptr<Store> store_ = std::make_shared<Store>();
};

}  // namespace apps
