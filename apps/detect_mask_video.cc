// detect_mask_video: says of everybody in a video, as it plays, whether they wear a mask.
// What runs in which thread: apps/live/video_pipeline.h.
#include <fmt/format.h>

#include <filesystem>
#include <future>
#include <memory>
#include <vector>

#include "apps/common/class_rules.h"
#include "apps/common/files.h"
#include "apps/common/program.h"
#include "apps/common/stop_signals.h"
#include "apps/live/idle_options.h"
#include "apps/live/video_options.h"
#include "apps/live/video_viewer.h"
#include "apps/live/video_wall.h"
#include "base/file.h"
#include "base/parallel.h"
#include "vision/image/picture_kinds.h"
#include "vision/masks/labels.h"
#include "vision/video/camera_list.h"
#include "vision/video/video_writer.h"

namespace maskwatch::apps {
namespace {

int list_sources() {
  const auto cameras = vision::list_cameras();
  for (const vision::Camera& camera : cameras)
    fmt::print("{}  {}{}\n", one_line(camera.device), one_line(camera.name),
               camera.problem.empty() ? "" : fmt::format("  ({})", one_line(camera.problem)));
  if (cameras.empty()) fmt::print("no cameras found\n");
  return 0;
}

void check_files(const VideoOptions& o) {
  const auto file = [](const std::string& path) { return path == "-" ? "" : path; };
  std::vector<NamedFile> inputs{{"the model", o.faces.model}, {"the detector", o.faces.face}};
  inputs.insert(inputs.end(), o.secrets.begin(), o.secrets.end());
  for (const SourceOption& source : o.sources) inputs.push_back({"the source", source.address});
  const std::vector<NamedFile> outputs{
      {"--record", o.record}, {"--events", file(o.events)}, {"--stats", file(o.stats)}};
  std::error_code fault;
  for (const SourceOption& source : o.sources)
    for (const NamedFile& output : outputs)
      if (const auto path = std::filesystem::weakly_canonical(output.path, fault);
          vision::has_image_extension(path.string()) &&
          std::filesystem::equivalent(path.parent_path(), source.address, fault))
        inputs.push_back({"a picture of the source", output.path});
  check_outputs(outputs, inputs);
  if (!o.record.empty()) vision::VideoWriter::check_path(o.record);
  if (o.screenshot_folder != ".") require_writable(o.screenshot_folder + "/screenshot.png");
}

// Before the source: once that is open its frames must not wait.
std::unique_ptr<vision::VideoWindow> open_window(const VideoOptions& o) {
  if (o.headless) return nullptr;
  try {
    return std::make_unique<vision::VideoWindow>("Maskwatch");
  } catch (const std::runtime_error& fault) {
    throw UsageError(fault.what(), "--headless needs none");
  }
}

// One for each source; none if the program was told to stop while it waited for them. They are
// opened at the same time: the frames of one must not wait until others answer.
std::vector<std::unique_ptr<VideoPipeline>> open_pipelines(const VideoOptions& o,
                                                           std::atomic<bool>& stop) {
  const auto detector = make_shared_detector(pipeline_options(o, o.sources[0], stop));
  std::vector<std::future<std::unique_ptr<VideoPipeline>>> coming;
  for (const SourceOption& source : o.sources)
    coming.push_back(std::async(std::launch::async, [&o, &source, &detector, &stop] {
      return std::make_unique<VideoPipeline>(pipeline_options(o, source, stop), detector);
    }));
  std::vector<std::unique_ptr<VideoPipeline>> pipelines;
  std::exception_ptr fault;
  for (auto& one : coming) try {
      pipelines.push_back(one.get());
    } catch (const std::exception&) {
      if (!fault && !stop) fault = std::current_exception();
      stop = true;  // the others need not wait any more
    }
  if (fault) std::rethrow_exception(fault);
  if (stop) pipelines.clear();
  return pipelines;
}

// It weighs the classes that mean a mask against all others.
void check_threshold(const VideoPipeline& pipeline) {
  const auto& meanings = pipeline.meanings();
  std::vector<std::string> others;
  for (std::size_t i = 0; i < meanings.size(); ++i)
    if (meanings[i] != LabelMeaning::mask) others.push_back(pipeline.labels()[i]);
  if (others.size() == meanings.size())
    warn("--threshold: the model has no class that means a mask, so it does nothing");
  else if (others.empty())
    warn("--threshold: every class of the model means a mask, so it does nothing");
  else if (!vision::knows(meanings, LabelMeaning::no_mask))
    warn("--threshold: the model has no class that means no mask, so it weighs masks against " +
         listed(others) + " only");
}

// Throws where an option asks for a class that the model does not have, and warns where one may do
// nothing because names are not understood.
void check_labels(const VideoOptions& o, const VideoPipeline& pipeline) {
  check_class_names(class_meanings(o.faces.classes), pipeline.all_labels(), "the model");
  const auto knows = [&](LabelMeaning meaning) {
    return vision::knows(pipeline.meanings(), meaning);
  };
  if (o.alert_worn_wrongly && !knows(LabelMeaning::worn_wrongly))
    throw UsageError("--alert-worn-wrongly: the model has no class for masks worn wrongly",
                     "name one that has with --model, or say which of its classes it is with "
                     "--classes worn_wrongly=NAME");
  if (!o.alert.empty() && !knows(LabelMeaning::no_mask))
    warn(std::string("--alert: the model has no class that means no mask, so it ") +
         (o.alert_worn_wrongly ? "runs for masks worn wrongly only" : "never runs"));
  if (o.threshold_given) check_threshold(pipeline);
  warn_of_unknown_classes(pipeline.unknown_labels(),
                          "who is called so is neither counted as masked nor as unmasked, and "
                          "neither --alert nor --threshold heed it");
}

// Runs `viewer` (VideoViewer or VideoWall) to its end and tells what came of it. Returns the exit
// code.
template <typename Viewer>
int show(const VideoOptions& o, Viewer& viewer) {
  viewer.run();
  if (o.stats == "-")
    fmt::print("{}", viewer.stats());
  else if (!o.stats.empty())
    write_file_atomically(o.stats, viewer.stats());
  if (!viewer.fault()) return done;
  if (viewer.fault_is_told()) return failure;
  std::rethrow_exception(viewer.fault());
}

int watch(int argc, char** argv) {
  const VideoOptions o = read_video_options(argc, argv);
  if (o.list_sources) return list_sources();
  check_files(o);
  set_threads(o.threads);
  std::atomic<bool>& stop = stop_on_signals();
  auto window = open_window(o);
  auto pipelines = open_pipelines(o, stop);
  if (pipelines.empty()) return 0;
  VideoPipeline& first = *pipelines[0];
  check_labels(o, first);
  check_detail(o.faces, first.heeds_detail());
  std::vector<OpenedSource> opened;
  for (const auto& pipeline : pipelines) {
    const VideoPipeline::Source source = pipeline->source();
    opened.push_back({source.kind, source.live});
    if (!source.note.empty()) tell(source.note);
  }
  for (const std::string& idle : idle_options(o, opened)) warn(idle);
  const bool tells = o.stats != "-" && o.events != "-";
  if (pipelines.size() > 1) {
    VideoWall wall(o, pipelines, std::move(window));
    const int code = show(o, wall);
    if (tells) fmt::print("{}\n", wall.summary());
    return code;
  }
  VideoViewer viewer(o, o.sources[0].name, first, std::move(window));
  const int code = show(o, viewer);
  if (const std::string state = first.figures().state; !state.empty()) tell(state);
  if (tells) fmt::print("{}\n", viewer.summary());
  return code;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program(argc, argv, maskwatch::apps::watch);
}
