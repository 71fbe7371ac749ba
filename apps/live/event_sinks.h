// All that hears of the videos besides the window: the event log and the sinks of apps/alerts, as
// the command line asks for them.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/alerts/event_sink.h"
#include "apps/live/video_options.h"
#include "vision/masks/labels.h"
#include "vision/masks/tracker.h"

namespace maskwatch::apps {

class EventSinks {
 public:
  // `labels` of the model, and the meaning of each. Throws what the sinks' constructors throw.
  EventSinks(const VideoOptions& options, const std::vector<WatchedName>& sources,
             std::vector<std::string> labels, std::vector<vision::LabelMeaning> meanings);

  // `source`: its place in `sources`.
  void write(int source, const std::vector<vision::TrackEvent>& events);
  // Who is in view now. `trouble`: of the source.
  void update(int source, const std::vector<vision::Track>& tracks, const std::string& trouble);
  void measure(int source, const VideoFigures& video);
  void measure_sinks();
  bool empty() const { return sinks_.empty(); }
  bool wants_picture(int source);
  void show(int source, const std::shared_ptr<const vision::Image>& picture);
  bool wants_overview();
  void show_overview(const std::shared_ptr<const vision::Image>& picture);
  // Ends all of them at the same time, so that it takes no longer than the slowest.
  void finish();

  // As EventSink's, of the first that has one; of all.
  std::exception_ptr take_error();
  std::vector<std::string> take_notes();
  // Of those that have any.
  SinkFigures figures() const;
  // The same as JSON.
  Json stats() const;

 private:
  const std::vector<WatchedName> sources_;
  const std::vector<std::string> labels_;
  const std::vector<vision::LabelMeaning> meanings_;
  std::vector<std::pair<std::string, std::unique_ptr<EventSink>>> sinks_;
  std::vector<std::int64_t> people_seen_;  // of each source
};

}  // namespace maskwatch::apps
