// A frame on its way through the pipeline.
#pragma once

#include <vector>

#include "apps/common/clock.h"
#include "vision/faces/face_detector.h"
#include "vision/masks/tracker.h"
#include "vision/video/video_source.h"

namespace maskwatch::apps {

// The first three are written by the capture thread and only read after that. `found` belongs
// to the detection and the classification thread in turn; `tracks` and `ready` are guarded
// by the pipeline's mutex.
struct PipelineFrame {
  vision::VideoFrame video;
  Clock::time_point captured;  // when a live source's data had come; when a file's frame was due
  bool due = false;            // faces are looked for

  vision::LocatedFaces found;

  std::vector<vision::Track> tracks;
  bool ready = false;

  // For another frame; the picture's memory is kept.
  void reset() {
    due = ready = false;
    found.faces.clear();
    tracks.clear();
  }
};

}  // namespace maskwatch::apps
