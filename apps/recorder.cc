#include "apps/recorder.h"

#include <exception>
#include <utility>

namespace apps {

Recorder::Recorder(bool wait) : wait_(wait), thread_([this] { work(); }) {}

Recorder::~Recorder() { finish(); }

void Recorder::work() {
  while (const auto job = jobs_.pop()) guarded(*job);
}

// A disk that is full ends a recording, not the program.
void Recorder::guarded(const Job& job) {
  try {
    job();
  } catch (const std::exception& fault) {
    const std::lock_guard lock(mutex_);
    if (fault_.empty()) fault_ = fault.what();
  }
}

void Recorder::start(const std::string& path, int width, int height, double fps) {
  stop();
  vision::VideoWriterOptions options;
  options.fps = fps;
  writer_ = std::make_shared<vision::VideoWriter>(path, width, height, options);
  recording_ = true;
}

void Recorder::stop() {
  recording_ = false;
  if (writer_) jobs_.push([writer = std::exchange(writer_, nullptr)] { writer->close(); });
}

void Recorder::add(std::shared_ptr<const vision::Image> picture, double time) {
  if (!recording_) return;
  Job job = [this, writer = writer_, picture = std::move(picture), time] {
    if (writer->failed()) return;
    try {
      writer->write(*picture, time);
    } catch (...) {
      recording_ = false;
      throw;
    }
    ++frames_;
  };
  if (wait_)
    jobs_.push(std::move(job));
  else if (!jobs_.try_push(std::move(job)))
    ++lost_;
}

void Recorder::save_picture(std::shared_ptr<const vision::Image> picture, const std::string& path) {
  jobs_.push([picture = std::move(picture), path] { vision::save_image(path, *picture); });
}

void Recorder::finish() {
  if (!thread_.joinable()) return;
  stop();
  jobs_.close();
  thread_.join();
}

std::string Recorder::take_fault() {
  const std::lock_guard lock(mutex_);
  return std::exchange(fault_, {});
}

}  // namespace apps
