// Figures in the text format of Prometheus:
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
#pragma once

#include <string>

#include "apps/alerts/event_sink.h"

namespace maskwatch::apps {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// All figures, with their types and what they mean. `viewers`: of the stream of pictures.
std::string metrics_text(const WatchState& state, const VideoFigures& video, int viewers);

}  // namespace maskwatch::apps
