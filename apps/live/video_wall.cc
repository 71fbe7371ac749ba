#include "apps/live/video_wall.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "apps/common/program.h"
#include "vision/image/draw.h"
#include "vision/image/resize.h"
#include "vision/masks/video_panel.h"

namespace maskwatch::apps {
namespace {

constexpr double kBetweenWalls = 1. / 60;  // seconds
constexpr double kIdleRedraw = .25;        // seconds without a frame before messages are drawn anew
constexpr auto kNap = std::chrono::milliseconds(2);  // between looks where nobody has a frame
constexpr vision::Color kTitle{255, 255, 255}, kTitleBack{20, 23, 28};

std::vector<WatchedName> names_of(const VideoOptions& options,
                                  const std::vector<std::unique_ptr<VideoPipeline>>& pipelines) {
  std::vector<WatchedName> names;
  for (std::size_t i = 0; i < pipelines.size(); ++i)
    names.push_back({options.sources[i].name, pipelines[i]->source().description});
  return names;
}

// The largest box of the picture's shape in the middle of the cell.
vision::PixelBox fit(const vision::Image& picture, const vision::PixelBox& cell) {
  const double scale = std::min(static_cast<double>(cell.width) / picture.width,
                                static_cast<double>(cell.height) / picture.height);
  const int width = std::clamp(static_cast<int>(std::lround(picture.width * scale)), 1, cell.width);
  const int height =
      std::clamp(static_cast<int>(std::lround(picture.height * scale)), 1, cell.height);
  return {cell.x + (cell.width - width) / 2, cell.y + (cell.height - height) / 2, width, height};
}

void draw_title(vision::Image& picture, const std::string& text) {
  const float height = vision::text_height_for(picture);
  const vision::TextSize size = vision::text_size(text, height);
  const float margin = height / 3;
  vision::fill_rectangle(picture, {0, 0, size.width + 2 * margin, size.height + margin}, kTitleBack,
                         .75f);
  vision::draw_text(picture, {margin, margin / 2}, text, height, kTitle);
}

}  // namespace

std::vector<vision::PixelBox> wall_cells(int count) {
  const int columns = static_cast<int>(std::ceil(std::sqrt(count)));
  const int width = kWallWidth / columns, height = width * 9 / 16;
  std::vector<vision::PixelBox> cells;
  for (int i = 0; i < count; ++i)
    cells.push_back({i % columns * width, i / columns * height, width, height});
  return cells;
}

struct VideoWall::Tile {
  Tile(const VideoOptions& options, int index, const WatchedName& name, VideoPipeline& pipeline,
       EventSinks& sinks, const vision::PixelBox& cell)
      : index(index), source(options, index, name, pipeline, sinks), cell(cell) {}

  const int index;
  WatchedSource source;
  const vision::PixelBox cell;
  bool ended = false;
  bool fresh = false;  // the latest frame is not on the wall yet
  vision::Image picture;
};

VideoWall::VideoWall(const VideoOptions& options,
                     std::vector<std::unique_ptr<VideoPipeline>>& pipelines,
                     std::unique_ptr<vision::VideoWindow> window)
    : options_(options),
      sinks_(options, names_of(options, pipelines), pipelines[0]->labels(),
             pipelines[0]->meanings()),
      window_(std::move(window)),
      status_(window_ != nullptr, options),
      threshold_(options.threshold) {
  const auto names = names_of(options, pipelines);
  const auto cells = wall_cells(static_cast<int>(pipelines.size()));
  for (std::size_t i = 0; i < pipelines.size(); ++i)
    tiles_.push_back(std::make_unique<Tile>(options, static_cast<int>(i), names[i], *pipelines[i],
                                            sinks_, cells[i]));
  wall_ = vision::Image(kWallWidth, cells.back().y + cells.back().height);
  if (!window_) return;
  window_->set_up(fmt::format("Maskwatch: {} sources", pipelines.size()), wall_.width,
                  wall_.height);
  if (options.full_screen) window_->toggle_full_screen();
}

VideoWall::~VideoWall() = default;

void VideoWall::run() {
  try {
    for (const auto& tile : tiles_) tile->source.pipeline().start();
    loop();
  } catch (const std::exception&) {
    status_.note_error(std::current_exception());
  }
  for (const auto& tile : tiles_) {
    tile->source.pipeline().finish();
    tile->source.end();
  }
  sinks_.finish();
  recorder_.finish();
  status_.look_after(recorder_, sinks_);
}

void VideoWall::loop() {
  while (!quit_) {
    if (window_)
      for (const vision::WindowKey key : window_->poll()) obey(key);
    status_.look_after(recorder_, sinks_);
    for (const auto& tile : tiles_)
      if (const std::string fault = tile->source.pipeline().take_detector_fault(); !fault.empty())
        status_.say(fault, true);
    if (status_.must_end()) return;
    bool busy = false, measured = false;
    for (const auto& tile : tiles_) {
      if (!tile->ended) busy = serve(*tile) || busy;
      measured = tile->source.measure() || measured;
    }
    if (measured) sinks_.measure_sinks();
    if (std::all_of(tiles_.begin(), tiles_.end(), [](const auto& tile) { return tile->ended; }))
      return;
    display();
    if (!busy) std::this_thread::sleep_for(kNap);
  }
}

// Whether there was something to do.
bool VideoWall::serve(Tile& tile) try {
  VideoPipeline& pipeline = tile.source.pipeline();
  Shown next;
  // While the video is paused the pipeline is left alone, but a request to end is noticed.
  const auto state = paused_ ? pipeline.idle(0) : pipeline.next(next, 0);
  if (const std::string loss = tile.source.take_loss(); !loss.empty()) tell(loss);
  if (state == VideoPipeline::Next::frame) take(tile, next);
  if (state != VideoPipeline::Next::end) return state == VideoPipeline::Next::frame;
  tile.ended = true;
  tile.source.end();
  // That it is being connected again is no reason, and was told.
  if (const std::string why = pipeline.figures().state; !why.empty() && pipeline.loss().empty())
    tell(tile.source.name() + ": " + why);
  return true;
} catch (const std::exception&) {
  status_.note_lost_source(tile.source.name(), std::current_exception());
  tile.ended = true;
  tile.source.end();
  return true;
}

void VideoWall::take(Tile& tile, const Shown& shown) {
  if (std::exchange(tile.fresh, false)) tile.source.displayed();  // the next has overtaken it
  if (const std::string alert = tile.source.take(shown); !alert.empty())
    status_.say(tile.source.name() + ": " + alert, true);
  if (sinks_.wants_picture(tile.index)) {
    const auto picture = pictures_.take();
    *picture = shown.frame->video.image;
    const VideoPipeline& pipeline = tile.source.pipeline();
    vision::draw_tracks(*picture, shown.tracks, pipeline.labels(), pipeline.meanings());
    sinks_.show(tile.index, picture);
  }
  if (window_ || sinks_.wants_overview())
    tile.fresh = true;
  else
    tile.source.displayed();
}

// The wall, as soon as something on it is new.
void VideoWall::display() {
  const Clock::time_point start = Clock::now();
  const double passed = seconds_between(displayed_, start);
  const bool fresh =
      std::any_of(tiles_.begin(), tiles_.end(), [](const auto& tile) { return tile->fresh; });
  if (!(fresh && passed >= kBetweenWalls) && !(window_ && passed >= kIdleRedraw)) return;
  displayed_ = start;
  for (const auto& tile : tiles_) draw(*tile);
  vision::PanelFigures over;
  over.message = status_.message(start);
  over.alarming = status_.alarming();
  over.paused = paused_ && !help_;
  const auto picture = pictures_.take();
  *picture = wall_;
  vision::VideoPanel::draw_message(*picture, over);
  if (help_) vision::VideoPanel::draw_help(*picture);
  shown_wall_ = picture;
  sinks_.show_overview(picture);
  if (window_) window_->show(*picture);
  for (const auto& tile : tiles_)
    if (std::exchange(tile->fresh, false)) tile->source.displayed();
}

void VideoWall::draw(Tile& tile) {
  const Shown& shown = tile.source.latest();
  const VideoPipeline& pipeline = tile.source.pipeline();
  if (shown.frame && tile.picture.empty())  // what told of a source without a picture goes
    vision::paste(wall_, vision::Image(tile.cell.width, tile.cell.height), tile.cell.x,
                  tile.cell.y);
  if (shown.frame && (tile.fresh || tile.picture.empty())) draw_frame(tile);
  vision::Image over = tile.picture;
  vision::PixelBox place = tile.cell;
  if (shown.frame) {
    place = fit(shown.frame->video.image, tile.cell);
  } else {
    over = vision::Image(place.width, place.height);
    draw_title(over, tile.source.name());
  }
  vision::PanelFigures figures;
  figures.message = tile.ended ? "ended" : pipeline.loss();
  figures.alarming = !tile.ended;
  if (!figures.message.empty()) vision::VideoPanel::draw_message(over, figures);
  vision::paste(wall_, over, place.x, place.y);
}

void VideoWall::draw_frame(Tile& tile) {
  const Shown& shown = tile.source.latest();
  const vision::Image& frame = shown.frame->video.image;
  const VideoPipeline& pipeline = tile.source.pipeline();
  const vision::PixelBox place = fit(frame, tile.cell);
  vision::resize(frame, place.width, place.height, tile.picture);
  const float scale = static_cast<float>(place.width) / static_cast<float>(frame.width);
  std::vector<vision::Track> tracks = shown.tracks;
  for (vision::Track& track : tracks)
    track.box = {track.box.x * scale, track.box.y * scale, track.box.width * scale,
                 track.box.height * scale};
  vision::draw_tracks(tile.picture, tracks, pipeline.labels(), pipeline.meanings());
  vision::PanelFigures in_view;
  vision::count_people(in_view, shown.tracks, pipeline.meanings());
  draw_title(tile.picture, fmt::format("{}: {} masked, {} not", tile.source.name(),
                                       in_view.count.masked, in_view.count.unmasked));
}

void VideoWall::obey(vision::WindowKey key) {
  using enum vision::WindowKey;
  if (key == quit) quit_ = true;
  if (key == pause) {
    paused_ = !paused_;
    for (const auto& tile : tiles_) tile->source.pipeline().set_paused(paused_);
  }
  if (key == screenshot) status_.save_screenshot(recorder_, shown_wall_);
  if (key == record) status_.say("there is no recording of several sources", true);
  if (key == help) help_ = !help_;
  if (key == detector) {
    // It is changed before the next frame of a source: of one that gives frames.
    const auto there = std::find_if(tiles_.begin(), tiles_.end(), [](const auto& tile) {
      return !tile->ended && tile->source.pipeline().loss().empty();
    });
    if (there != tiles_.end()) (*there)->source.pipeline().next_detector();
    status_.say(there != tiles_.end() ? "another detector ..." : "no source is there");
  }
  if (key == more || key == less) {
    threshold_ = threshold_beside(threshold_, key == more);
    for (const auto& tile : tiles_) tile->source.pipeline().set_threshold(threshold_);
    status_.say(fmt::format("mask from {:.0f}%", 100 * threshold_));
  }
}

std::string VideoWall::stats() const {
  Json sources = Json::object();
  for (const auto& tile : tiles_) {
    Json one = tile->source.stats();
    one["latency_ms"] = tile->source.latencies();
    one["ended_by"] = tile->source.pipeline().figures().state;
    sources[tile->source.name()] = std::move(one);
  }
  const Json out = Json::object(
      {{"sources", sources}, {"ended_by", status_.fault_text()}, {"sinks", sinks_.stats()}});
  return out.dump(2, Json::KeyOrder::as_added) + "\n";
}

std::string VideoWall::summary() const {
  std::string out;
  for (const auto& tile : tiles_)
    out += (out.empty() ? "" : "\n") + tile->source.name() + ": " + tile->source.summary();
  return out;
}

}  // namespace maskwatch::apps
