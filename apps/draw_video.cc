// draw_video: a video of drawn people, with masks and without, and the truth about it as JSON
// lines.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "apps/common/program.h"
#include "apps/common/progress.h"
#include "base/file.h"
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
  CLI::App app("Draws a video of people with and without masks, to try detect_mask_video with.",
               "draw_video");
  app.add_option("-o,--output", o.output, "video file to write (.mp4, .mkv, .mov, .avi)")
      ->required();
  app.add_option("--truth", o.truth,
                 "write a JSON line for each frame: who is where, masked or not");
  app.add_option("--scene", o.scene, "one, mask, cross, leave or crowd")
      ->check(CLI::IsMember(vision::drawn_scenes()))
      ->capture_default_str();
  app.add_option("--width", o.width)->check(CLI::Range(64, 7680))->capture_default_str();
  app.add_option("--height", o.height)->check(CLI::Range(64, 4320))->capture_default_str();
  app.add_option("--fps", o.fps)->check(CLI::Range(1., 240.))->capture_default_str();
  parse_arguments(app, argc, argv);
  return o;
}

std::string truth_line(const vision::DrawnVideo& video, int frame) {
  nlohmann::ordered_json line{{"frame", frame}, {"time", frame / video.fps()}};
  line["people"] = nlohmann::json::array();
  for (const auto& there : video.truth(frame))
    line["people"].push_back(
        {{"person", there.person},
         {"box", {there.box.x, there.box.y, there.box.width, there.box.height}},
         {"masked", there.masked},
         {"visible", there.visible}});
  return line.dump() + "\n";
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
  bar.finish(fmt::format("{} frames in {}", video.frames(), o.output));
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program(argc, argv, maskwatch::apps::draw_video);
}
