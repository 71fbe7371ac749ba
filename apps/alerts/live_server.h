// --serve: looks at a box without a screen in a browser, and lets Prometheus do so.
//   /             a page with the video, the counts and the latest events; of several sources
//                 all at a glance, and the sums of their counts
//   /stream.mjpg  the video with its boxes, at most 10 pictures a second (multipart JPEG)
//   /snapshot.jpg the next picture
//   /state        counts and the latest events, as JSON
//   /metrics      for Prometheus (apps/alerts/metrics.h)
//   /healthz      200 while frames come, else 503
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "apps/alerts/event_sink.h"
#include "apps/alerts/http_server.h"
#include "apps/alerts/metrics.h"
#include "apps/alerts/serve_options.h"

namespace maskwatch::apps {

class LiveServer : public EventSink {
 public:
  // Throws what HttpServer's constructor throws.
  explicit LiveServer(const ServeOptions& options);

  void write(int source, const std::string& line) override;
  void update(int source, const WatchState& state) override;
  void measure(int source, const VideoFigures& video) override;
  void measure_sinks(const SinkFigures& sinks) override;
  bool wants_overview() override;
  void show_overview(std::shared_ptr<const vision::Image> picture) override;
  void finish() override { server_.stop(); }
  std::exception_ptr take_error() override { return nullptr; }
  std::vector<std::string> take_notes() override;

 private:
  HttpResponse answer(const HttpRequest& request);
  HttpResponse page_of(const std::string& path);
  HttpResponse state();
  HttpResponse health();
  bool is_allowed(const HttpRequest& request) const;
  bool is_rebound(const HttpRequest& request) const;

  const ServeOptions options_;
  Clock::time_point shown_;  // the picture before
  bool announced_ = false;
  std::mutex mutex_;  // guards what follows: the server's thread reads it
  std::vector<SourceFigures> sources_;
  std::vector<Clock::time_point> last_frames_;  // of each source
  SinkFigures sinks_;
  std::deque<std::string> events_;  // the latest
  HttpServer server_;               // last: its thread uses the others
};

}  // namespace maskwatch::apps
