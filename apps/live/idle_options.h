// Options that none of the sources heeds.
#pragma once

#include <string>
#include <vector>

#include "apps/live/video_options.h"
#include "vision/video/video_source.h"

namespace maskwatch::apps {

// What matters of a source here.
struct OpenedSource {
  vision::SourceKind kind;
  bool live;
};

// A line for each option that was given and does nothing for any of these sources.
std::vector<std::string> idle_options(const VideoOptions& options,
                                      const std::vector<OpenedSource>& sources);

}  // namespace maskwatch::apps
