#include "apps/alerts/metrics.h"

#include <fmt/format.h>

#include <utility>

#include "base/version.h"  // made by meson

namespace maskwatch::apps {
namespace {

class Metrics {
 public:
  // What the following values belong to. `kind`: gauge, counter or summary.
  void begin(const std::string& name, const char* kind, const char* help) {
    name_ = "maskwatch_" + name;
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name_, help, kind);
  }

  // `labels`: such as stage="read"; empty: none.
  template <typename Number>
  void add(Number value, const std::string& labels = "", const char* suffix = "") {
    text_ +=
        fmt::format("{}{}{} {}\n", name_, suffix, labels.empty() ? "" : "{" + labels + "}", value);
  }

  template <typename Number>
  void one(const std::string& name, const char* kind, const char* help, Number value) {
    begin(name, kind, help);
    add(value);
  }

  void add_summary(const Latency& latency, const std::string& labels) {
    for (const double q : {.5, .9, .99})
      add(latency.quantile(q), fmt::format("{},quantile=\"{}\"", labels, q));
    add(latency.sum(), labels, "_sum");
    add(latency.count(), labels, "_count");
  }

  std::string take() { return std::move(text_); }

 private:
  std::string name_, text_;
};

void add_people(Metrics& out, const WatchState& state) {
  out.begin("people", "gauge", "People in view, by what they wear.");
  const int others = state.people - state.mask - state.no_mask - state.worn_wrongly;
  for (const auto& [wears, count] : {std::pair("mask", state.mask),
                                     {"no_mask", state.no_mask},
                                     {"worn_wrongly", state.worn_wrongly},
                                     {"unknown", others}})
    out.add(count, fmt::format("wears=\"{}\"", wears));
  out.one("people_seen_total", "counter", "People seen until now.", state.people_seen);
}

void add_video(Metrics& out, const WatchState& state, const VideoFigures& video) {
  out.one("source_up", "gauge", "1 while the source delivers, 0 while it is lost.",
          state.trouble.empty() ? 1 : 0);
  out.one("source_reconnections_total", "counter", "Times that a lost source came back.",
          video.reconnections);
  out.one("frames_captured_total", "counter", "Frames that the source delivered.", video.captured);
  out.one("frames_shown_total", "counter", "Frames that went through to the end.", video.shown);
  out.one("frames_dropped_total", "counter", "Frames left out to keep up.", video.dropped);
  out.one("frames_per_second", "gauge", "Frames that go through at present.",
          video.frames_a_second);
  out.begin("delay_seconds", "summary",
            "Time that each stage takes for a frame; total: from its arrival to its display.");
  for (const auto& [stage, latency] : video.delays)
    out.add_summary(latency, fmt::format("stage=\"{}\"", stage));
}

void add_sinks(Metrics& out, const VideoFigures& video) {
  if (video.sinks.empty()) return;
  const auto label = [](const std::string& name) { return fmt::format("sink=\"{}\"", name); };
  out.begin("events_total", "counter", "Events that a sink was given.");
  for (const auto& [name, sink] : video.sinks) out.add(sink.taken, label(name));
  out.begin("events_delivered_total", "counter", "Events that the receiver has acknowledged.");
  for (const auto& [name, sink] : video.sinks) out.add(sink.delivered, label(name));
  out.begin("events_dropped_total", "counter", "Events that were dropped.");
  for (const auto& [name, sink] : video.sinks) out.add(sink.dropped, label(name));
  out.begin("events_waiting", "gauge", "Events that are neither.");
  for (const auto& [name, sink] : video.sinks) out.add(sink.waiting(), label(name));
  out.begin("sink_up", "gauge", "1 if the receiver was reached at the last attempt.");
  for (const auto& [name, sink] : video.sinks) out.add(sink.reached ? 1 : 0, label(name));
  out.begin("sink_outages_total", "counter", "Times that a receiver was lost.");
  for (const auto& [name, sink] : video.sinks) out.add(sink.outages, label(name));
  out.begin("sink_delay_seconds", "summary", "From the event to the receiver's answer.");
  for (const auto& [name, sink] : video.sinks) out.add_summary(sink.delay, label(name));
}

}  // namespace

std::string metrics_text(const WatchState& state, const VideoFigures& video, int viewers) {
  Metrics out;
  out.begin("build_info", "gauge", "The version that runs.");
  out.add(1, fmt::format("version=\"{}\"", kVersion));
  add_people(out, state);
  add_video(out, state, video);
  add_sinks(out, video);
  out.one("viewers", "gauge", "Browsers that watch the stream.", viewers);
  return out.take();
}

}  // namespace maskwatch::apps
