// What the views of one source and of several share: messages to the user, what went wrong first,
// and files that are named after the time.
#pragma once

#include <exception>
#include <memory>
#include <string>

#include "apps/common/clock.h"
#include "apps/live/event_sinks.h"
#include "apps/live/recorder.h"
#include "apps/live/video_options.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

class ViewerStatus {
 public:
  // `has_window`: where messages are shown; without one alarming ones are told on standard error.
  // Screenshots and recordings that keys ask for go into options.screenshot_folder.
  ViewerStatus(bool has_window, const VideoOptions& options);

  void say(const std::string& message, bool alarming = false);
  // The latest message while it is new; else empty.
  const std::string& message(Clock::time_point now) const;
  bool alarming() const { return alarming_; }

  // Shown at once in a window; a program without one should end. The first is kept.
  void note_error(const std::exception_ptr& error);
  // A source has failed for good, among others that go on: that is told at once, and does not end
  // the program.
  void note_lost_source(const std::string& source, const std::exception_ptr& error);
  // An output has failed at work (WriteError). Without a window that is told at once, and the
  // program should end only if nothing that it writes to is left.
  void note_lost_output(const std::exception_ptr& error);
  // The first; null: nothing went wrong.
  std::exception_ptr fault() const { return fault_; }
  // The text of it; empty: nothing went wrong.
  const std::string& fault_text() const { return fault_text_; }
  // Whether it was told on standard error already.
  bool fault_is_told() const { return fault_is_told_; }
  bool must_end() const { return must_end_; }

  // What recordings, screenshots and sinks have to say since the last call.
  void look_after(Recorder& recorder, EventSinks& sinks);

  // A file that is not there yet, named after the time. One that was named before may not be there
  // yet either: the recorder makes it.
  std::string new_file(const std::string& kind, const std::string& extension);
  void save_screenshot(Recorder& recorder, const std::shared_ptr<vision::Image>& picture);

 private:
  void keep(const std::exception_ptr& error, const std::string& text);
  // Where there is no window, tells it at once.
  void keep_and_tell(const std::exception_ptr& error, const std::string& text);

  const bool has_window_;
  const std::string folder_;
  int outputs_;  // that work
  std::string message_;
  bool alarming_ = false;
  Clock::time_point message_until_;
  std::exception_ptr fault_;
  std::string fault_text_;
  bool fault_is_told_ = false, must_end_ = false;
  std::string named_stem_;  // of new_file
  int named_ = 0;
};

// The threshold that a key asks for, one step above or below.
float threshold_beside(float threshold, bool above);

}  // namespace maskwatch::apps
