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

std::string label_of(const SourceFigures& source) {
  return source.name.empty() ? "" : fmt::format("source=\"{}\"", source.name);
}

std::string joined(const std::string& label, const std::string& other) {
  return label.empty() ? other : label + "," + other;
}

// One value of each source.
template <typename Value>
void add_each(Metrics& out, const std::vector<SourceFigures>& sources, const std::string& name,
              const char* kind, const char* help, const Value& value) {
  out.begin(name, kind, help);
  for (const SourceFigures& source : sources) out.add(value(source), label_of(source));
}

void add_people(Metrics& out, const std::vector<SourceFigures>& sources) {
  out.begin("people", "gauge", "People in view, by what they wear.");
  for (const SourceFigures& source : sources) {
    const WatchState& s = source.state;
    const int others = s.people - s.mask - s.no_mask - s.worn_wrongly;
    for (const auto& [wears, count] : {std::pair("mask", s.mask),
                                       {"no_mask", s.no_mask},
                                       {"worn_wrongly", s.worn_wrongly},
                                       {"unknown", others}})
      out.add(count, joined(label_of(source), fmt::format("wears=\"{}\"", wears)));
  }
  add_each(out, sources, "people_seen_total", "counter", "People seen until now.",
           [](const SourceFigures& s) { return s.state.people_seen; });
}

void add_video(Metrics& out, const std::vector<SourceFigures>& sources) {
  using Of = SourceFigures;
  add_each(out, sources, "source_up", "gauge", "1 while the source delivers, 0 while it is lost.",
           [](const Of& s) { return s.state.trouble.empty() ? 1 : 0; });
  add_each(out, sources, "source_reconnections_total", "counter",
           "Times that a lost source came back.",
           [](const Of& s) { return s.video.reconnections; });
  add_each(out, sources, "frames_captured_total", "counter", "Frames that the source delivered.",
           [](const Of& s) { return s.video.captured; });
  add_each(out, sources, "frames_shown_total", "counter", "Frames that went through to the end.",
           [](const Of& s) { return s.video.shown; });
  add_each(out, sources, "frames_dropped_total", "counter", "Frames left out to keep up.",
           [](const Of& s) { return s.video.dropped; });
  add_each(out, sources, "frames_per_second", "gauge", "Frames that go through at present.",
           [](const Of& s) { return s.video.frames_a_second; });
  out.begin("delay_seconds", "summary",
            "Time that each stage takes for a frame; total: from its arrival to its display.");
  for (const SourceFigures& source : sources)
    for (const auto& [stage, latency] : source.video.delays)
      out.add_summary(latency, joined(label_of(source), fmt::format("stage=\"{}\"", stage)));
}

void add_sinks(Metrics& out, const SinkFigures& sinks) {
  if (sinks.empty()) return;
  const auto label = [](const std::string& name) { return fmt::format("sink=\"{}\"", name); };
  out.begin("events_total", "counter", "Events that a sink was given.");
  for (const auto& [name, sink] : sinks) out.add(sink.taken, label(name));
  out.begin("events_delivered_total", "counter", "Events that the receiver has acknowledged.");
  for (const auto& [name, sink] : sinks) out.add(sink.delivered, label(name));
  out.begin("events_dropped_total", "counter", "Events that were dropped.");
  for (const auto& [name, sink] : sinks) out.add(sink.dropped, label(name));
  out.begin("events_waiting", "gauge", "Events that are neither.");
  for (const auto& [name, sink] : sinks) out.add(sink.waiting(), label(name));
  out.begin("sink_up", "gauge", "1 if the receiver was reached at the last attempt.");
  for (const auto& [name, sink] : sinks) out.add(sink.reached ? 1 : 0, label(name));
  out.begin("sink_outages_total", "counter", "Times that a receiver was lost.");
  for (const auto& [name, sink] : sinks) out.add(sink.outages, label(name));
  out.begin("sink_delay_seconds", "summary", "From the event to the receiver's answer.");
  for (const auto& [name, sink] : sinks) out.add_summary(sink.delay, label(name));
}

}  // namespace

std::string metrics_text(const std::vector<SourceFigures>& sources, const SinkFigures& sinks,
                         int viewers) {
  Metrics out;
  out.begin("build_info", "gauge", "The version that runs.");
  out.add(1, fmt::format("version=\"{}\"", kVersion));
  add_people(out, sources);
  add_video(out, sources);
  add_sinks(out, sinks);
  out.one("viewers", "gauge", "Browsers that watch the stream.", viewers);
  return out.take();
}

}  // namespace maskwatch::apps
