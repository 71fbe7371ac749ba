// The command line of detect_mask_video.
#pragma once

#include <string>
#include <vector>

#include "apps/alerts/sink_options.h"
#include "apps/common/face_options.h"
#include "apps/common/files.h"
#include "apps/live/video_pipeline.h"

namespace maskwatch::apps {

struct SourceOption {
  std::string name;     // of --source NAME=ADDRESS; empty: the only one, without a name
  std::string address;  // as vision::VideoSource::open takes it
};

struct VideoOptions {
  std::vector<SourceOption> sources{{"", "0"}};  // one at least; several have different names
  bool list_sources = false;
  FaceOptions faces;
  float threshold = .5f;
  bool threshold_given = false;
  int detect_every = 0;  // 0: auto; -1: as suits the source
  double fps_target = 0;
  bool headless = false, every_frame = false, loop = false, live = false, no_reconnect = false,
       full_screen = false, alert_worn_wrongly = false;
  std::string record, events, stats, alert, screenshot_folder = ".";
  double alert_after = 5, timeout = 5;
  bool timeout_given = false;
  SinkOptions sinks;
  std::vector<NamedFile> secrets;  // files that they come from
  std::string camera_size;
  double camera_fps = 0;
  std::string rotate = "0";
  bool flip = false;
  int threads = 0;
};

// Throws what OptionParser::parse throws.
VideoOptions read_video_options(int argc, char** argv);

// The part that concerns the pipeline of one source. UsageError for a camera size of another form,
// std::runtime_error if there is no model.
PipelineOptions pipeline_options(const VideoOptions& options, const SourceOption& source,
                                 std::atomic<bool>& stop);

// From what stands behind --source: NAME=ADDRESS or ADDRESS. Of several, those without a name are
// called by their number, from 1. UsageError for two of one name.
std::vector<SourceOption> read_sources(const std::vector<std::string>& texts);

}  // namespace maskwatch::apps
