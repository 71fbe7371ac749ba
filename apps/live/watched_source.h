// One source as whoever displays it knows it: the latest frame, what happened in it and to it, and
// its figures. Tells the sinks and raises alerts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/live/alert.h"
#include "apps/live/event_sinks.h"
#include "apps/live/video_options.h"
#include "apps/live/video_pipeline.h"

namespace maskwatch::apps {

// Frames a second; 0 where no time has passed.
double frame_rate(std::int64_t frames, double seconds);

class WatchedSource {
 public:
  // `index`: the place of the source among all. Throws what Alert's constructor throws.
  WatchedSource(const VideoOptions& options, int index, const WatchedName& name,
                VideoPipeline& pipeline, EventSinks& sinks);

  // A frame has come: it is the latest. Returns what to tell the user of alerts; empty: nothing.
  std::string take(const Shown& shown);
  // It has been displayed, or has gone where it had to.
  void displayed();
  const Shown& latest() const { return latest_; }

  // Writes what happened and counts who has left, by the last label.
  void take_events();
  // For the log of an unattended server: one line when the source is lost, one when it is back;
  // empty: nothing has changed. Of one that breaks off at once, again and again, not every loss is
  // told.
  std::string take_loss();
  // Once a second: figures for those who look at them from outside. Whether it was time.
  bool measure();
  // Nobody is in view any more; the sinks hear of it. After VideoPipeline::finish().
  void end();

  VideoPipeline& pipeline() const { return pipeline_; }
  const std::string& name() const { return name_.name; }
  std::int64_t frames() const { return frames_; }
  // The part of --stats that is the source's own, and the delays of its stages.
  Json stats() const;
  Json latencies() const;
  std::string summary() const;  // "300 frames in 10.0 s (30.0 a second), 0 dropped; 2 people"

 private:
  const int index_;
  const WatchedName name_;
  VideoPipeline& pipeline_;
  EventSinks& sinks_;
  std::optional<Alert> alert_;
  int alerts_ = 0;
  Shown latest_;
  std::vector<std::int64_t> people_of_label_;  // who has left, by their last label
  std::int64_t frames_ = 0, measured_frames_ = 0;
  bool lost_ = false, loss_is_told_ = false;
  bool flickers_ = false;  // it was lost, for the last time, soon after it was back
  int losses_ = 0;         // since one was told
  Clock::time_point first_frame_, last_frame_, lost_at_, back_at_, loss_told_at_, measured_;
};

}  // namespace maskwatch::apps
