// Figures in the text format of Prometheus:
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
#pragma once

#include <string>
#include <vector>

#include "apps/alerts/event_sink.h"

namespace maskwatch::apps {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

struct SourceFigures {
  std::string name;  // the label "source"; empty: there is none
  WatchState state;
  VideoFigures video;
};

// All figures, with their types and what they mean. `viewers`: of the stream of pictures.
std::string metrics_text(const std::vector<SourceFigures>& sources, const SinkFigures& sinks,
                         int viewers);

}  // namespace maskwatch::apps
