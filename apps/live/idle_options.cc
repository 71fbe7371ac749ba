#include "apps/live/idle_options.h"

#include <algorithm>

namespace maskwatch::apps {

std::vector<std::string> idle_options(const VideoOptions& options,
                                      const std::vector<OpenedSource>& sources) {
  using vision::SourceKind;
  std::vector<std::string> idle;
  const auto check = [&](bool given, const std::string& option, const std::string& why,
                         const auto& heeds) {
    if (given && std::none_of(sources.begin(), sources.end(), heeds))
      idle.push_back(option + ": " + why + ", so it does nothing");
  };
  const auto camera = [](const OpenedSource& source) { return source.kind == SourceKind::camera; };
  const auto live = [](const OpenedSource& source) { return source.live; };
  const auto ends = [](const OpenedSource& source) { return !source.live; };
  check(!options.camera_size.empty(), "--camera-size", "no source is a camera", camera);
  check(options.camera_fps > 0, "--camera-fps", "no source is a camera or a folder of pictures",
        [&](const OpenedSource& source) {
          return camera(source) || source.kind == SourceKind::folder;
        });
  check(options.timeout_given, "--timeout", "no source is a camera, a stream or a pipe",
        [&](const OpenedSource& source) {
          return camera(source) || source.kind == SourceKind::network ||
                 source.kind == SourceKind::pipe;
        });
  check(options.no_reconnect, "--no-reconnect", "no source is live", live);
  check(options.loop, "--loop", "every source is live", ends);
  check(options.every_frame, "--every-frame", "every source is live", ends);
  check(
      options.fps_target > 0 && options.detect_every < 0, "--fps-target",
      "faces are looked for in every frame of files without a window unless --detect-every is "
      "auto",
      [&](const OpenedSource& source) { return source.live || options.live || !options.headless; });
  return idle;
}

}  // namespace maskwatch::apps
