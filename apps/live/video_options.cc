#include "apps/live/video_options.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>

#include "apps/common/class_rules.h"
#include "apps/common/device_option.h"
#include "apps/common/options.h"
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
  detect_mask_video -s door=rtsp://camera/1 -s hall=0 --headless --serve 8080 \
      --mqtt mqtt://broker/home            several cameras, a page, Home Assistant

The alert command runs without a shell, once for each person, and learns from its environment what
happened: MASKWATCH_TRACK, _LABEL, _CONFIDENCE, _SECONDS, _TIME, _BOX and _SOURCE.)";

void add_source_options(OptionParser& parser, VideoOptions& o, std::vector<std::string>& sources) {
  parser
      .add("-s,--source", &sources,
           "Camera (number, device or a part of its name), video file, named pipe, folder of "
           "pictures, address (rtsp, http, https, udp, ...) or lavfi:GRAPH; several are watched at "
           "once: -s door=rtsp://camera/1 -s hall=1")
      .show_default();
  parser.add("--list-sources", &o.list_sources, "List the cameras, and end");
  parser.add("--live", &o.live,
             "Treat the source as live: rather lose frames than fall behind; a file plays at its "
             "own speed");
  parser.add("--no-reconnect", &o.no_reconnect,
             "End when a live source is lost, or is not there at first");
  parser.add("--loop", &o.loop, "Begin a file again at its end");
  parser.add("--timeout", &o.timeout, "Seconds without data until a source counts as lost")
      .range(.1, 3600.)
      .show_default();
  parser.add("--camera-size", &o.camera_size, "WIDTHxHEIGHT asked of a camera");
  parser
      .add("--rotate", &o.rotate,
           "Turn the picture clockwise by so many degrees, as for a camera that hangs upside down; "
           "what the source itself tells of that is heeded first")
      .choices({"0", "90", "180", "270"})
      .show_default();
  parser.add("--flip", &o.flip, "Then exchange left and right, as in a mirror");
  parser
      .add("--camera-fps", &o.camera_fps,
           "Frames a second asked of a camera; those of a folder of pictures (default there: 25)")
      .range(1., 1000.);
}

void add_work_options(OptionParser& parser, VideoOptions& o, std::string& every) {
  add_face_options(parser, o.faces, vision::kDefaultFaceDetector);
  parser
      .add("--threshold", &o.threshold,
           "How probable a mask must be to count as worn; what is shown is weighed likewise")
      .range(.01, .99)
      .show_default();
  parser
      .add("--detect-every", &every,
           "Look for faces in every N-th frame, and follow them between; auto: as often as "
           "--fps-target allows (default: 1 for files without a window, else auto)")
      .check([](const std::string& text) {
        const bool number =
            !text.empty() && text.size() <= 4 && text.find_first_not_of('0') != std::string::npos &&
            std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
        return number || text == "auto" ? std::string() : "is neither a number above 0 nor auto";
      });
  parser
      .add("--fps-target", &o.fps_target, "Frame rate that auto holds (default: the source's own)")
      .range(1., 1000.);
  parser.add("--every-frame", &o.every_frame,
             "In the window, play every frame of a file, if need be more slowly");
  parser.add("--threads", &o.threads, "Threads for networks and detectors (default: all cores)")
      .range(0, 1024);
}

void add_output_options(OptionParser& parser, VideoOptions& o) {
  parser.add("--headless", &o.headless, "No window; files run as fast as they can");
  parser.add("--full-screen", &o.full_screen, "Begin with the full screen");
  parser.add("--record", &o.record,
             "Write what is shown to this video (.mp4, .mkv, .mov, .avi), in place of one that is "
             "there");
  parser.add("--events", &o.events,
             "Write a JSON line for everybody who appears, changes or leaves, behind what the file "
             "holds (-: to standard output)");
  parser.add("--stats", &o.stats,
             "At the end, write figures as JSON in place of what the file holds (-: to standard "
             "output)");
  const OptionParser::Option& alert =
      parser.add("--alert", &o.alert, "Command to run when somebody stays without a mask");
  parser.add("--alert-after", &o.alert_after, "Seconds without a mask before that")
      .range(0., 1e6)
      .show_default()
      .needs(alert);
  parser
      .add("--alert-worn-wrongly", &o.alert_worn_wrongly,
           "Run it also for a mask that is worn wrongly (models with such a class)")
      .needs(alert);
  parser
      .add("--screenshot-dir", &o.screenshot_folder,
           "Where the keys s and r put pictures and videos")
      .show_default();
}

// UsageError for options that contradict each other, whatever the source is.
void check_options(const OptionParser& parser, const VideoOptions& o) {
  check_sureness(parser, "--confidence", "--face", o.faces.face);
  for (const auto& [one, other] : {std::pair{"--full-screen", "--headless"},
                                   {"--every-frame", "--headless"},
                                   {"--screenshot-dir", "--headless"},
                                   {"--every-frame", "--live"}})
    if (parser.given(one) && parser.given(other))
      throw UsageError(std::string(one) + " excludes " + other);
  if (o.fps_target > 0 && o.detect_every > 0)
    throw UsageError("--fps-target is for --detect-every auto",
                     "every N-th frame is looked at, however long that takes");
  if (o.sources.size() > 1 && !o.record.empty())
    throw UsageError("--record: there is no recording of several sources",
                     "start one program for each");
}

void read_camera_size(const std::string& text, vision::VideoSourceOptions& source) {
  if (text.empty()) return;
  int used = 0;
  if (std::sscanf(text.c_str(), "%5dx%5d%n", &source.width, &source.height, &used) != 2 ||
      used != static_cast<int>(text.size()) || source.width <= 0 || source.height <= 0)
    throw UsageError("--camera-size " + text + ": not WIDTHxHEIGHT, such as 1280x720");
}

// Such a name can be a level of a topic, a label and a field of JSON.
bool is_name(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

// The one that was asked for first, then the usual ones.
std::vector<std::string> detector_choice(const std::string& first) {
  std::vector<std::string> out{first};
  for (const char* usual : {"ours", "haar", "ssd"})
    if (first != usual) out.emplace_back(usual);
  return out;
}

}  // namespace

std::vector<SourceOption> read_sources(const std::vector<std::string>& texts) {
  std::vector<SourceOption> sources;
  for (const std::string& text : texts) {
    const std::size_t end = text.find('=');
    const bool named = end != std::string::npos && end > 0 && is_name(text.substr(0, end)) &&
                       !std::filesystem::exists(text);
    if (named && end + 1 == text.size())
      throw UsageError("--source " + text + ": nothing stands behind the name");
    const std::string number = texts.size() > 1 ? std::to_string(sources.size() + 1) : "";
    sources.push_back({named ? text.substr(0, end) : number,
                       vision::without_file_scheme(named ? text.substr(end + 1) : text)});
  }
  for (auto source = sources.begin(); source != sources.end(); ++source)
    for (auto other = sources.begin(); other != source; ++other)
      if (source->name == other->name) throw UsageError("--source: two are called " + source->name);
  return sources;
}

VideoOptions read_video_options(int argc, char** argv) {
  VideoOptions o;
  std::string every;
  SinkArguments sinks;
  std::vector<std::string> sources{"0"};
  OptionParser parser("detect_mask_video", kAbout);
  parser.footer(kFooter);
  parser.group("Source");
  add_source_options(parser, o, sources);
  parser.group("Detection");
  add_work_options(parser, o, every);
  parser.group("Output");
  add_output_options(parser, o);
  add_sink_options(parser, sinks);
  parser.parse(argc, argv);
  o.sinks = read_sink_options(sinks);
  o.secrets = {{"--mqtt-password-file", sinks.mqtt_password_file},
               {"--webhook-token-file", sinks.webhook_token_file},
               {"--webhook-secret-file", sinks.webhook_secret_file},
               {"--serve-token-file", sinks.serve_token_file}};
  o.threshold_given = parser.given("--threshold");
  o.timeout_given = parser.given("--timeout");
  o.sources = read_sources(sources);
  o.detect_every = every.empty() ? -1 : every == "auto" ? 0 : std::stoi(every);
  check_options(parser, o);
  return o;
}

PipelineOptions pipeline_options(const VideoOptions& o, const SourceOption& source,
                                 std::atomic<bool>& stop) {
  PipelineOptions p;
  p.source = source.address;
  p.source_options.timeout = o.timeout;
  p.source_options.fps = o.camera_fps;
  p.source_options.reconnect = !o.no_reconnect;
  p.source_options.wait = true;
  if (o.live) p.source_options.live = true;
  p.source_options.rotate = std::stoi(o.rotate);
  p.source_options.flip = o.flip;
  read_camera_size(o.camera_size, p.source_options);
  p.paced = !o.headless || o.live;
  p.drop = o.live || (!o.headless && !o.every_frame);
  p.loop = o.loop;
  p.detect_every = o.detect_every;
  p.fps_target = o.fps_target;
  p.detectors = detector_choice(o.faces.face);
  p.confidence = o.faces.confidence;
  p.detail = o.faces.given_detail();
  p.threshold = o.threshold;
  p.model = model_file(o.faces);
  p.meanings = class_meanings(o.faces.classes);
  p.device = &chosen_device(o.faces.device);
  p.stop = &stop;
  return p;
}

}  // namespace maskwatch::apps
