// draw_video: a video of drawn people, with masks and without, and the truth about it as JSON
// lines.
#include <fmt/format.h>

#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/common/progress.h"
#include "base/file.h"
#include "base/json.h"
#include "vision/drawn/drawn_video.h"
#include "vision/video/video_writer.h"

namespace maskwatch::apps {
namespace {

struct Options {
  std::string output, truth, scene = "crowd";
  int width = 640, height = 480;
  double fps = 30;
};

Options read_options(int argc, char** argv) {
  Options o;
  OptionParser parser(
      "draw_video",
      "Draws a video of people with and without masks, to try detect_mask_video with.");
  parser.add("-o,--output", &o.output, "video file to write (.mp4, .mkv, .mov, .avi)").required();
  parser.add("--truth", &o.truth, "write a JSON line for each frame: who is where, masked or not");
  parser.add("--scene", &o.scene, "one, mask, cross, leave or crowd")
      .choices(vision::drawn_scenes())
      .show_default();
  parser.add("--width", &o.width, "pixels").range(64, 7680).show_default();
  parser.add("--height", &o.height, "pixels").range(64, 4320).show_default();
  parser.add("--fps", &o.fps, "frames a second").range(1., 240.).show_default();
  parser.parse(argc, argv);
  check_outputs({{"--output", o.output}, {"--truth", o.truth}}, {});
  return o;
}

std::string truth_line(const vision::DrawnVideo& video, int frame) {
  Json people = Json::list();
  for (const auto& there : video.truth(frame))
    people.push_back(Json::object(
        {{"person", there.person},
         {"box", Json::list({there.box.x, there.box.y, there.box.width, there.box.height})},
         {"masked", there.masked},
         {"visible", there.visible}}));
  const Json line =
      Json::object({{"frame", frame}, {"time", frame / video.fps()}, {"people", people}});
  return line.dump(Json::kOneLine, Json::KeyOrder::as_added) + "\n";
}

int draw_video(int argc, char** argv) {
  const Options o = read_options(argc, argv);
  const vision::DrawnVideo video(o.width, o.height, o.fps, vision::drawn_scene(o.scene));
  vision::VideoWriterOptions how;
  how.fps = o.fps;
  vision::VideoWriter writer(o.output, o.width, o.height, how);
  ProgressBar bar(video.frames());
  std::string truth;
  for (int i = 0; i < video.frames(); ++i) {
    writer.write(video.frame(i), i / o.fps);
    truth += truth_line(video, i);
    bar.update(i + 1);
  }
  writer.close();
  if (!o.truth.empty()) write_file_atomically(o.truth, truth);
  bar.finish(fmt::format("{} frames in {}", video.frames(), one_line(o.output)));
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program(argc, argv, maskwatch::apps::draw_video);
}
