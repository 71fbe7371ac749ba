#include "apps/live/viewer_status.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>

#include "apps/common/program.h"
#include "base/file.h"

namespace maskwatch::apps {
namespace {

constexpr double kMessageTime = 3;  // seconds
constexpr float kThresholdStep = .05f;

// A summary at the end is none.
int outputs_of(const VideoOptions& o) {
  return !o.record.empty() + !o.events.empty() + !o.alert.empty() + o.sinks.mqtt.has_value() +
         o.sinks.serve.has_value() + o.sinks.webhook.has_value();
}

std::string text_of(const std::exception_ptr& error) try {
  std::rethrow_exception(error);
} catch (const std::exception& fault) {
  return fault.what();
}

bool is_write_error(const std::exception_ptr& error) try {
  std::rethrow_exception(error);
} catch (const WriteError&) {
  return true;
} catch (const std::exception&) {
  return false;
}

}  // namespace

ViewerStatus::ViewerStatus(bool has_window, const VideoOptions& options)
    : has_window_(has_window), folder_(options.screenshot_folder), outputs_(outputs_of(options)) {}

void ViewerStatus::say(const std::string& message, bool alarming) {
  message_ = one_line(message);
  alarming_ = alarming;
  message_until_ = Clock::now() + std::chrono::milliseconds(static_cast<int>(1000 * kMessageTime));
  if (alarming && !has_window_) tell(message_);
}

const std::string& ViewerStatus::message(Clock::time_point now) const {
  static const std::string none;
  return now < message_until_ ? message_ : none;
}

void ViewerStatus::keep(const std::exception_ptr& error, const std::string& text) {
  if (has_window_) say(text, true);
  if (fault_ && !fault_is_told_) return;
  fault_ = error;
  fault_text_ = text;
  fault_is_told_ = false;
}

void ViewerStatus::keep_and_tell(const std::exception_ptr& error, const std::string& text) {
  if (has_window_) return keep(error, text);
  if (fault_ && !fault_is_told_) return;  // the program ends for another reason
  if (!fault_) keep(error, text);
  tell_fault(text);
  fault_is_told_ = true;
}

void ViewerStatus::note_error(const std::exception_ptr& error) {
  keep(error, text_of(error));
  must_end_ = !has_window_;
}

void ViewerStatus::note_lost_source(const std::string& source, const std::exception_ptr& error) {
  keep_and_tell(error, source + ": " + text_of(error));
}

void ViewerStatus::note_lost_output(const std::exception_ptr& error) {
  keep_and_tell(error, text_of(error));
  if (!has_window_) must_end_ = must_end_ || --outputs_ <= 0;
}

void ViewerStatus::look_after(Recorder& recorder, EventSinks& sinks) {
  if (const std::string fault = recorder.take_picture_fault(); !fault.empty()) say(fault, true);
  if (const std::string fault = recorder.take_fault(); !fault.empty())
    note_lost_output(std::make_exception_ptr(WriteError(fault)));
  while (const auto error = sinks.take_error())
    if (is_write_error(error))
      note_lost_output(error);
    else
      note_error(error);
  for (const std::string& note : sinks.take_notes()) {
    tell(note);
    if (has_window_) say(note);
  }
}

std::string ViewerStatus::new_file(const std::string& kind, const std::string& extension) {
  const std::string stem =
      fmt::format("{}-{:%Y%m%d-%H%M%S}", kind, fmt::localtime(std::time(nullptr)));
  named_ = stem == named_stem_ ? named_ + 1 : 1;
  named_stem_ = stem;
  const std::filesystem::path folder(folder_);
  const auto path = [&] {
    return folder /
           (named_ == 1 ? stem + extension : fmt::format("{}-{}{}", stem, named_, extension));
  };
  while (std::filesystem::exists(path())) ++named_;
  return path().string();
}

void ViewerStatus::save_screenshot(Recorder& recorder,
                                   const std::shared_ptr<vision::Image>& picture) {
  if (!picture) return;
  const std::string path = new_file("screenshot", ".png");
  if (recorder.save_picture(picture, path))
    say("screenshot: " + path);
  else
    say("no screenshot: the disk is too slow", true);
}

float threshold_beside(float threshold, bool above) {
  const float step = above ? kThresholdStep : -kThresholdStep;
  return std::clamp(std::round((threshold + step) * 20) / 20, .05f, .95f);
}

}  // namespace maskwatch::apps
