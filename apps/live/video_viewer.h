// What detect_mask_video does with the frames that come out of the pipeline: draws and shows them,
// records them, writes events, raises alerts, obeys the keys. All on the program's main thread; the
// slow parts (encoder, disk, alert command) run elsewhere and are not waited for.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "apps/live/alert.h"
#include "apps/live/event_sinks.h"
#include "apps/live/recorder.h"
#include "apps/live/recycling_pool.h"
#include "apps/live/video_options.h"
#include "apps/live/video_pipeline.h"
#include "vision/masks/video_panel.h"
#include "vision/window/video_window.h"

namespace maskwatch::apps {

class VideoViewer {
 public:
  // Opens recording, event log, alert and what sends events elsewhere. Throws what they throw. No
  // window: headless.
  VideoViewer(const VideoOptions& options, VideoPipeline& pipeline,
              std::unique_ptr<vision::VideoWindow> window);

  // Until the video ends, the user quits, or the program is told to stop; then everything is
  // closed.
  void run();

  // After run(). What went wrong first: the source, a recording, the event log, a broker. Null:
  // nothing.
  std::exception_ptr fault() const { return fault_; }
  std::string stats() const;    // JSON
  std::string summary() const;  // one line

 private:
  void loop();
  void take(const Shown& shown);
  void take_events();
  void obey(vision::WindowKey key);
  void display(bool new_frame);
  std::shared_ptr<vision::Image> annotated() const;
  void look_after_outputs();
  void note_fault(const std::string& fault);
  void note_error(const std::exception_ptr& error);
  void tell_of_losses();
  void refresh_figures(Clock::time_point now);
  void measure();
  void say(const std::string& message, bool alarming = false);
  void toggle_recording();
  void save_screenshot();
  std::string new_file(const std::string& kind, const std::string& extension);
  double uptime() const { return seconds_between(began_, Clock::now()); }

  const VideoOptions options_;
  VideoPipeline& pipeline_;
  Recorder recorder_;
  EventSinks sinks_;
  std::optional<Alert> alert_;
  const std::unique_ptr<vision::VideoWindow> window_;  // none: headless
  std::vector<std::int64_t> people_of_label_;          // who has left, by their last label

  mutable vision::VideoPanel panel_;
  mutable RecyclingPool<vision::Image> pictures_;
  vision::PanelFigures shown_figures_;
  PipelineFigures figures_;                 // refreshed a few times a second
  Shown shown_;                             // the latest frame
  std::shared_ptr<vision::Image> picture_;  // as it was shown last
  bool help_ = false, with_panel_ = true, paused_ = false, quit_ = false;
  float threshold_;
  std::exception_ptr fault_;
  std::string message_, detector_, ended_by_;
  std::string named_stem_;  // of new_file
  int named_ = 0;
  bool message_alarms_ = false, lost_ = false;
  Clock::time_point began_ = Clock::now(), message_until_, refreshed_, displayed_, lost_at_;
  Clock::time_point first_frame_, last_frame_, rate_from_, measured_;
  std::int64_t measured_frames_ = 0;
  std::int64_t frames_ = 0, rate_frames_ = 0;
  int alerts_ = 0;
};

}  // namespace maskwatch::apps
