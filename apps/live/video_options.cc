#include "apps/live/video_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "apps/common/program.h"

namespace maskwatch::apps {
namespace {

constexpr const char* kAbout =
    "Says of everybody in a video, as it plays, whether they wear a mask.";

constexpr const char* kFooter =
    R"(Keys in the window:
  q quit        space pause    s screenshot       r record on, off
  h help        p panel        d next detector    + - mask threshold    f full screen

Examples:
  detect_mask_video                                 the first camera, in a window
  detect_mask_video -s film.mp4 --record out.mp4    a file, and what was found in it
  detect_mask_video -s rtsp://camera/1 --headless --events events.jsonl \
      --alert "notify-send 'No mask'" --alert-after 10
  detect_mask_video -s film.mp4 --headless --stats -   as fast as it goes, figures as JSON

The alert command runs without a shell, once for each person, and learns from its environment what
happened: MASKWATCH_TRACK, _LABEL, _CONFIDENCE, _SECONDS, _TIME, _BOX and _SOURCE.)";

void add_source_options(CLI::App& app, VideoOptions& o) {
  app.add_option("-s,--source", o.source,
                 "Camera (number, device or a part of its name), video file, named pipe, folder of "
                 "pictures, address (rtsp, http, https, udp, ...) or lavfi:GRAPH")
      ->capture_default_str();
  app.add_flag("--list-sources", o.list_sources, "List the cameras, and end");
  app.add_flag("--live", o.live,
               "Treat the source as live: rather lose frames than fall behind; a file plays at its "
               "own speed");
  app.add_flag("--no-reconnect", o.no_reconnect, "End when a live source is lost");
  app.add_flag("--loop", o.loop, "Begin a file again at its end");
  app.add_option("--timeout", o.timeout, "Seconds without data until a source counts as lost")
      ->check(CLI::Range(.1, 3600.))
      ->capture_default_str();
  app.add_option("--camera-size", o.camera_size, "WIDTHxHEIGHT asked of a camera");
  app.add_option(
         "--camera-fps", o.camera_fps,
         "Frames a second asked of a camera; those of a folder of pictures (default there: 25)")
      ->check(CLI::Range(1., 1000.));
}

void add_work_options(CLI::App& app, VideoOptions& o, std::string& every) {
  add_face_options(app, o.faces, "haar");
  app.add_option("--threshold", o.threshold,
                 "How probable a mask must be to count as worn; what is shown is weighed likewise")
      ->check(CLI::Range(.01, .99))
      ->capture_default_str();
  app.add_option("--detect-every", every,
                 "Look for faces in every N-th frame, and follow them between; auto: as often as "
                 "--fps-target allows (default: 1 for files without a window, else auto)")
      ->check([](const std::string& text) {
        const bool number =
            !text.empty() && text.size() <= 4 && text != "0" &&
            std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
        return number || text == "auto" ? std::string() : "not a number above 0, nor auto";
      });
  app.add_option("--fps-target", o.fps_target,
                 "Frame rate that auto holds (default: the source's own)")
      ->check(CLI::Range(1., 1000.));
  app.add_flag("--every-frame", o.every_frame,
               "In the window, play every frame of a file, if need be more slowly");
  app.add_option("--threads", o.threads, "Threads for networks and detectors (default: all cores)")
      ->check(CLI::Range(0, 1024));
}

void add_output_options(CLI::App& app, VideoOptions& o) {
  app.add_flag("--headless", o.headless, "No window; files run as fast as they can");
  app.add_flag("--full-screen", o.full_screen, "Begin with the full screen");
  app.add_option("--record", o.record,
                 "Write what is shown to this video (.mp4, .mkv, .mov, .avi)");
  app.add_option("--events", o.events,
                 "Write a JSON line for everybody who appears, changes or leaves (-: to standard "
                 "output)");
  app.add_option("--stats", o.stats, "At the end, write figures as JSON (-: to standard output)");
  app.add_option("--alert", o.alert, "Command to run when somebody stays without a mask");
  app.add_option("--alert-after", o.alert_after, "Seconds without a mask before that")
      ->check(CLI::Range(0., 1e6))
      ->capture_default_str();
  app.add_option("--screenshot-dir", o.screenshot_folder,
                 "Where the keys s and r put pictures and videos")
      ->capture_default_str();
}

void read_camera_size(const std::string& text, vision::VideoSourceOptions& source) {
  if (text.empty()) return;
  int used = 0;
  if (std::sscanf(text.c_str(), "%5dx%5d%n", &source.width, &source.height, &used) != 2 ||
      used != static_cast<int>(text.size()) || source.width <= 0 || source.height <= 0)
    throw UsageError("--camera-size " + text + ": not WIDTHxHEIGHT, such as 1280x720");
}

// The one that was asked for first, then the usual ones.
std::vector<std::string> detector_choice(const std::string& first) {
  std::vector<std::string> out{first};
  for (const char* usual : {"haar", "ssd"})
    if (first != usual) out.emplace_back(usual);
  return out;
}

}  // namespace

VideoOptions read_video_options(int argc, char** argv) {
  VideoOptions o;
  std::string every;
  CLI::App app(kAbout, "detect_mask_video");
  app.footer(kFooter);
  add_source_options(app, o);
  add_work_options(app, o, every);
  add_output_options(app, o);
  parse_arguments(app, argc, argv);
  o.source = vision::without_file_scheme(o.source);
  o.detect_every = every.empty() ? -1 : every == "auto" ? 0 : std::stoi(every);
  return o;
}

PipelineOptions pipeline_options(const VideoOptions& o, std::atomic<bool>& stop) {
  PipelineOptions p;
  p.source = o.source;
  p.source_options.timeout = o.timeout;
  p.source_options.fps = o.camera_fps;
  p.source_options.reconnect = !o.no_reconnect;
  if (o.live) p.source_options.live = true;
  read_camera_size(o.camera_size, p.source_options);
  p.paced = !o.headless || o.live;
  p.drop = o.live || (!o.headless && !o.every_frame);
  p.loop = o.loop;
  p.detect_every = o.detect_every;
  p.fps_target = o.fps_target;
  p.detectors = detector_choice(o.faces.face);
  p.confidence = o.faces.confidence;
  p.threshold = o.threshold;
  p.model = model_file(o.faces);
  p.stop = &stop;
  return p;
}

}  // namespace maskwatch::apps
