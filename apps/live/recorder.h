// Writes annotated frames to a video file and single ones to pictures, in a thread of its own, so
// that the display waits for neither an encoder nor a disk.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "apps/live/bounded_queue.h"
#include "vision/image/image.h"
#include "vision/video/video_writer.h"

namespace maskwatch::apps {

class Recorder {
 public:
  Recorder();
  ~Recorder();  // as finish()
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Begins a video; a running one ends. Throws as VideoWriter does if the file cannot be made.
  void start(const std::string& path, int width, int height, double fps);
  // The same without waiting for file and encoder: take_fault() tells if it cannot be made.
  void start_soon(const std::string& path, int width, int height, double fps);
  // The video ends after what was added. Does not wait for it.
  void stop();
  bool recording() const { return current_ && !current_->failed; }

  // To the video that runs, if one does. `time` in seconds of the source. `wait`: rather than lose
  // the picture when the disk or the encoder is too slow.
  void add(std::shared_ptr<const vision::Image> picture, double time, bool wait);
  // Does not wait either. False if too much waits to be written already.
  bool save_picture(std::shared_ptr<const vision::Image> picture, const std::string& path);

  // Writes what is left, ends the video and the thread.
  void finish();

  std::int64_t frames() const { return frames_; }
  std::int64_t lost() const { return lost_; }
  // What went wrong since the last call, as one line; empty: nothing. The video that it happened to
  // has ended; what was written of it can be played.
  std::string take_fault();
  // The same of pictures.
  std::string take_picture_fault();

 private:
  struct Recording {
    std::unique_ptr<vision::VideoWriter> writer;  // of the thread
    std::atomic<bool> failed{false};
  };
  using Job = std::function<void()>;
  void work();
  Job of_recording(std::function<void(Recording&)> body);
  void note(std::string& where, const std::exception& fault);
  std::string take(std::string& fault);

  BoundedQueue<Job> jobs_{4};
  std::shared_ptr<Recording> current_;  // of the caller; jobs hold their own
  std::atomic<std::int64_t> frames_{0}, lost_{0};
  std::mutex mutex_;
  std::string fault_, picture_fault_;
  std::thread thread_;
};

}  // namespace maskwatch::apps
