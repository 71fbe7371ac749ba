// A person without a mask, as the tracker describes them.
#pragma once

#include <string>
#include <vector>

#include "vision/masks/tracker.h"

namespace maskwatch {

inline const std::vector<std::string> kLabels{"with_mask", "without_mask"};

// Labelled since `since` and last seen at `seen`, in seconds.
inline vision::Track unmasked(std::int64_t number, double since, double seen = 0) {
  vision::Track track;
  track.number = number;
  track.state = vision::TrackState::confirmed;
  track.label = 1;
  track.label_since = since;
  track.last_seen = seen;
  track.confidence = .875f;
  track.box = {10.26f, 20, 30, 40};
  return track;
}

}  // namespace maskwatch
