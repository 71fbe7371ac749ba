// Several sources at once: each with its own pipeline, people, events and alerts, one detector for
// all, and in the window (or the browser, --serve) all of them side by side. As VideoViewer all on
// the program's main thread, which waits for nobody.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "apps/live/event_sinks.h"
#include "apps/live/recorder.h"
#include "apps/live/recycling_pool.h"
#include "apps/live/video_options.h"
#include "apps/live/video_pipeline.h"
#include "apps/live/viewer_status.h"
#include "apps/live/watched_source.h"
#include "vision/image/geometry.h"
#include "vision/window/video_window.h"

namespace maskwatch::apps {

// Where each of `count` pictures lies: as many columns as rows, or one more; cells of 16:9, all
// together kWallWidth pixels wide.
inline constexpr int kWallWidth = 1280;
std::vector<vision::PixelBox> wall_cells(int count);

class VideoWall {
 public:
  // Opens alerts and what sends events elsewhere. Throws what they throw. No window: headless. The
  // pipelines are those of options.sources, in their order.
  VideoWall(const VideoOptions& options, std::vector<std::unique_ptr<VideoPipeline>>& pipelines,
            std::unique_ptr<vision::VideoWindow> window);
  ~VideoWall();

  // Until every video has ended, the user quits, or the program is told to stop.
  void run();

  // After run(). What went wrong first; null: nothing.
  std::exception_ptr fault() const { return status_.fault(); }
  bool fault_is_told() const { return status_.fault_is_told(); }
  std::string stats() const;    // JSON
  std::string summary() const;  // a line for each source

 private:
  struct Tile;

  void loop();
  bool serve(Tile& tile);
  void take(Tile& tile, const Shown& shown);
  void obey(vision::WindowKey key);
  void display();
  void draw(Tile& tile);
  void draw_frame(Tile& tile);

  const VideoOptions options_;
  EventSinks sinks_;
  Recorder recorder_;  // of screenshots
  const std::unique_ptr<vision::VideoWindow> window_;
  ViewerStatus status_;
  std::vector<std::unique_ptr<Tile>> tiles_;
  vision::Image wall_;
  RecyclingPool<vision::Image> pictures_;
  std::shared_ptr<vision::Image> shown_wall_;
  bool quit_ = false, paused_ = false, help_ = false;
  float threshold_;
  Clock::time_point displayed_;
};

}  // namespace maskwatch::apps
