// What detect_mask_video does with the frames that come out of the pipeline: draws and shows them,
// records them, writes events, raises alerts, obeys the keys. All on the program's main thread; the
// slow parts (encoder, disk, alert command) run elsewhere and are not waited for.
#pragma once

#include <exception>
#include <memory>
#include <string>

#include "apps/live/event_sinks.h"
#include "apps/live/recorder.h"
#include "apps/live/recycling_pool.h"
#include "apps/live/video_options.h"
#include "apps/live/video_pipeline.h"
#include "apps/live/viewer_status.h"
#include "apps/live/watched_source.h"
#include "vision/masks/video_panel.h"
#include "vision/window/video_window.h"

namespace maskwatch::apps {

class VideoViewer {
 public:
  // Opens recording, event log, alert and what sends events elsewhere. Throws what they throw. No
  // window: headless. `name` of the source, for events; empty: it has none.
  VideoViewer(const VideoOptions& options, const std::string& name, VideoPipeline& pipeline,
              std::unique_ptr<vision::VideoWindow> window);

  // Until the video ends, the user quits, or the program is told to stop; then everything is
  // closed.
  void run();

  // After run(). What went wrong first: the source, a recording, the event log, a broker. Null:
  // nothing.
  std::exception_ptr fault() const { return status_.fault(); }
  bool fault_is_told() const { return status_.fault_is_told(); }
  std::string stats() const;  // JSON
  std::string summary() const { return source_.summary(); }

 private:
  void set_up();
  void loop();
  void display_message();
  void take(const Shown& shown);
  void obey(vision::WindowKey key);
  void display(bool new_frame);
  std::shared_ptr<vision::Image> annotated() const;
  void refresh_figures(Clock::time_point now);
  void toggle_recording();
  double uptime() const { return seconds_between(began_, Clock::now()); }

  const VideoOptions options_;
  VideoPipeline& pipeline_;
  Recorder recorder_;
  EventSinks sinks_;
  WatchedSource source_;
  const std::unique_ptr<vision::VideoWindow> window_;  // none: headless
  ViewerStatus status_;

  mutable vision::VideoPanel panel_;
  mutable RecyclingPool<vision::Image> pictures_;
  vision::PanelFigures shown_figures_;
  PipelineFigures figures_;                 // refreshed a few times a second
  std::shared_ptr<vision::Image> picture_;  // as it was shown last
  bool is_set_up_ = false, recording_waits_ = false, help_ = false, with_panel_ = true,
       paused_ = false, quit_ = false;
  float threshold_;
  std::string detector_;
  Clock::time_point began_ = Clock::now(), refreshed_, displayed_, rate_from_;
  std::int64_t rate_frames_ = 0;
};

}  // namespace maskwatch::apps
