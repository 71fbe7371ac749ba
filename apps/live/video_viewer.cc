#include "apps/live/video_viewer.h"

#include <fmt/format.h>

#include <utility>

#include "apps/common/program.h"
#include "base/json.h"

namespace maskwatch::apps {
namespace {

constexpr double kRefresh = .2;      // seconds between looks at the pipeline's figures
constexpr double kIdleRedraw = .25;  // seconds without a frame before the panel is drawn anew
constexpr double kWait = .02;        // seconds for a frame before keys are looked at
constexpr int kLeastPanel = 240;     // rows of a picture that a panel would not fill
constexpr int kWaitingWidth = 640, kWaitingHeight = 480;  // while there is no picture

}  // namespace

VideoViewer::VideoViewer(const VideoOptions& options, const std::string& name,
                         VideoPipeline& pipeline, std::unique_ptr<vision::VideoWindow> window)
    : options_(options),
      pipeline_(pipeline),
      sinks_(options, {{name, pipeline.source().description}}, pipeline.labels(),
             pipeline.meanings()),
      source_(options, 0, {name, pipeline.source().description}, pipeline, sinks_),
      window_(std::move(window)),
      status_(window_ != nullptr, options),
      threshold_(options.threshold) {
  if (window_ && options.full_screen) window_->toggle_full_screen();
  set_up();
}

// As soon as the size of the source is known.
void VideoViewer::set_up() {
  if (is_set_up_) return;
  const VideoPipeline::Source source = pipeline_.source();
  if (source.width == 0) return;
  is_set_up_ = true;
  recording_waits_ = !source.drops;
  if (window_) window_->set_up("Maskwatch: " + source.description, source.width, source.height);
  if (!options_.record.empty())
    recorder_.start(options_.record, source.width, source.height, source.fps);
}

void VideoViewer::run() {
  try {
    pipeline_.start();
    loop();
  } catch (const std::exception&) {
    status_.note_error(std::current_exception());
  }
  pipeline_.finish();
  source_.end();
  sinks_.finish();
  recorder_.finish();
  status_.look_after(recorder_, sinks_);
  figures_ = pipeline_.figures();
}

void VideoViewer::loop() {
  while (!quit_) {
    if (window_)
      for (const vision::WindowKey key : window_->poll()) obey(key);
    status_.look_after(recorder_, sinks_);
    if (status_.must_end()) return;
    Shown next;
    // While the video is paused the pipeline is left alone, but a request to end is noticed.
    const auto state = paused_ ? pipeline_.idle(kWait) : pipeline_.next(next, kWait);
    if (state == VideoPipeline::Next::end) return;
    if (state == VideoPipeline::Next::frame) take(next);
    if (const std::string loss = source_.take_loss(); !loss.empty()) tell(loss);
    if (source_.measure()) sinks_.measure_sinks();
    if (state == VideoPipeline::Next::none && window_ &&
        seconds_between(displayed_, Clock::now()) > kIdleRedraw) {
      if (source_.latest().frame)
        display(false);
      else
        display_message();
    }
  }
}

// Of a source that is waited for.
void VideoViewer::display_message() {
  displayed_ = Clock::now();
  refresh_figures(displayed_);
  vision::Image picture(kWaitingWidth, kWaitingHeight);
  vision::VideoPanel::draw_message(picture, shown_figures_);
  window_->show(picture);
}

void VideoViewer::take(const Shown& shown) {
  set_up();
  if (const std::string alert = source_.take(shown); !alert.empty()) status_.say(alert, true);
  vision::count_people(shown_figures_, shown.tracks, pipeline_.meanings());
  panel_.sample(shown.frame->video.time, shown_figures_.count);
  if (window_ || recorder_.recording() || sinks_.wants_picture(0) || sinks_.wants_overview())
    display(true);
  source_.displayed();
}

// Draws the latest frame and shows it; a new one is recorded too.
void VideoViewer::display(bool new_frame) {
  const Clock::time_point start = Clock::now();
  refresh_figures(start);
  picture_ = annotated();
  const Clock::time_point drawn = Clock::now();
  if (new_frame) {
    recorder_.add(picture_, source_.latest().frame->video.time, recording_waits_);
    sinks_.show(0, picture_);
    sinks_.show_overview(picture_);
  }
  if (window_) window_->show(*picture_);
  displayed_ = Clock::now();
  if (!new_frame) return;
  ++rate_frames_;
  pipeline_.observed(Stage::draw, seconds_between(start, drawn));
  if (window_) pipeline_.observed(Stage::show, seconds_between(drawn, displayed_));
}

std::shared_ptr<vision::Image> VideoViewer::annotated() const {
  auto picture = pictures_.take();
  const Shown& shown = source_.latest();
  *picture = shown.frame->video.image;
  vision::draw_tracks(*picture, shown.tracks, pipeline_.labels(), pipeline_.meanings());
  // Whoever looks from elsewhere has the counts beside the picture.
  const bool has_room = picture->height >= kLeastPanel;
  if (with_panel_ && has_room && (window_ || recorder_.recording()))
    panel_.draw(*picture, shown_figures_, uptime());
  vision::VideoPanel::draw_message(*picture, shown_figures_);
  if (help_) vision::VideoPanel::draw_help(*picture);
  return picture;
}

void VideoViewer::refresh_figures(Clock::time_point now) {
  if (seconds_between(refreshed_, now) >= kRefresh || refreshed_ == Clock::time_point()) {
    figures_ = pipeline_.figures();
    refreshed_ = now;
    if (!detector_.empty() && figures_.detector != detector_)
      status_.say("now: " + figures_.detector);
    detector_ = figures_.detector;
    if (const std::string fault = pipeline_.take_detector_fault(); !fault.empty())
      status_.say(fault, true);
    const double passed = seconds_between(rate_from_, now);
    if (passed > 1) {
      shown_figures_.frames_a_second = passed < 10 ? frame_rate(rate_frames_, passed) : 0;
      rate_from_ = now;
      rate_frames_ = 0;
    }
  }
  shown_figures_.latencies.clear();
  for (const Stage stage :
       {Stage::total, Stage::detect, Stage::classify, Stage::draw, Stage::show, Stage::read})
    if (figures_.of(stage).count() > 0)
      shown_figures_.latencies.emplace_back(stage == Stage::total ? "delay" : stage_name(stage),
                                            figures_.of(stage).recent());
  shown_figures_.dropped = figures_.dropped - figures_.dropped_on_connecting;
  shown_figures_.detect_every = figures_.detect_every;
  shown_figures_.detector = figures_.detector.substr(0, figures_.detector.find(' '));
  shown_figures_.threshold = threshold_;
  shown_figures_.recording = recorder_.recording();
  shown_figures_.paused = paused_ && !help_;  // both lie in the middle
  shown_figures_.message = !figures_.state.empty() ? figures_.state : status_.message(now);
  shown_figures_.alarming = !figures_.state.empty() || status_.alarming();
}

void VideoViewer::obey(vision::WindowKey key) {
  using enum vision::WindowKey;
  if (key == quit) quit_ = true;
  if (key == pause) pipeline_.set_paused(paused_ = !paused_);
  if (key == screenshot) status_.save_screenshot(recorder_, picture_);
  if (key == record) toggle_recording();
  if (key == help) help_ = !help_;
  if (key == panel) with_panel_ = !with_panel_;
  if (key == detector) {
    pipeline_.next_detector();
    status_.say("another detector ...");
  }
  if (key == more || key == less) {
    threshold_ = threshold_beside(threshold_, key == more);
    pipeline_.set_threshold(threshold_);
    status_.say(fmt::format("mask from {:.0f}%", 100 * threshold_));
  }
  if (source_.latest().frame) display(false);
}

void VideoViewer::toggle_recording() {
  if (recorder_.recording()) {
    recorder_.stop();
    status_.say("recording ended");
    return;
  }
  if (!source_.latest().frame) return;
  const vision::Image& image = source_.latest().frame->video.image;
  const std::string path = status_.new_file("recording", ".mp4");
  recorder_.start_soon(path, image.width, image.height, pipeline_.source().fps);
  status_.say("recording: " + path);
}

std::string VideoViewer::stats() const {
  Json out = source_.stats();
  out.update(Json::object({{"recorded", recorder_.frames()},
                           {"recording_lost", recorder_.lost()},
                           {"ended_by", status_.fault() ? status_.fault_text() : figures_.state},
                           {"latency_ms", source_.latencies()},
                           {"sinks", sinks_.stats()}}));
  return out.dump(2, Json::KeyOrder::as_added) + "\n";
}

}  // namespace maskwatch::apps
