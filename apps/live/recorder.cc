#include "apps/live/recorder.h"

#include <exception>
#include <limits>
#include <utility>

namespace maskwatch::apps {
namespace {

constexpr std::size_t kAlways = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kPictures = 8;

vision::VideoWriterOptions options_for(double fps) {
  vision::VideoWriterOptions options;
  options.fps = fps;
  return options;
}

}  // namespace

Recorder::Recorder() : thread_([this] { work(); }) {}

Recorder::~Recorder() { finish(); }

void Recorder::work() {
  while (const auto job = jobs_.pop()) (*job)();
}

// A disk that is full ends a recording, not the program.
Recorder::Job Recorder::of_recording(std::function<void(Recording&)> body) {
  return [this, recording = current_, body = std::move(body)] {
    if (recording->failed) return;
    try {
      body(*recording);
    } catch (const std::exception& fault) {
      recording->failed = true;
      note(fault_, fault);
    }
  };
}

void Recorder::start(const std::string& path, int width, int height, double fps) {
  stop();
  auto writer = std::make_unique<vision::VideoWriter>(path, width, height, options_for(fps));
  current_ = std::make_shared<Recording>();
  current_->writer = std::move(writer);
}

void Recorder::start_soon(const std::string& path, int width, int height, double fps) {
  stop();
  current_ = std::make_shared<Recording>();
  jobs_.try_push(of_recording([=](Recording& recording) {
                   recording.writer =
                       std::make_unique<vision::VideoWriter>(path, width, height, options_for(fps));
                 }),
                 kAlways);
}

void Recorder::stop() {
  if (!current_) return;
  jobs_.try_push(of_recording([](Recording& recording) { recording.writer->close(); }), kAlways);
  current_.reset();
}

void Recorder::add(std::shared_ptr<const vision::Image> picture, double time, bool wait) {
  if (!recording()) return;
  Job job = of_recording([this, picture = std::move(picture), time](Recording& recording) {
    recording.writer->write(*picture, time);
    ++frames_;
  });
  if (wait)
    jobs_.push(std::move(job));
  else if (!jobs_.try_push(std::move(job)))
    ++lost_;
}

bool Recorder::save_picture(std::shared_ptr<const vision::Image> picture, const std::string& path) {
  return jobs_.try_push(
      [this, picture = std::move(picture), path] {
        try {
          vision::save_image(path, *picture);
        } catch (const std::exception& fault) {
          note(picture_fault_, fault);
        }
      },
      kPictures);
}

void Recorder::finish() {
  if (!thread_.joinable()) return;
  stop();
  jobs_.close();
  thread_.join();
}

void Recorder::note(std::string& where, const std::exception& fault) {
  const std::lock_guard lock(mutex_);
  if (where.empty()) where = fault.what();
}

std::string Recorder::take(std::string& fault) {
  const std::lock_guard lock(mutex_);
  return std::exchange(fault, {});
}

std::string Recorder::take_fault() { return take(fault_); }

std::string Recorder::take_picture_fault() { return take(picture_fault_); }

}  // namespace maskwatch::apps
