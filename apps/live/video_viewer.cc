#include "apps/live/video_viewer.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "apps/common/program.h"
#include "base/file.h"
#include "base/json.h"

namespace maskwatch::apps {
namespace {

constexpr double kRefresh = .2;      // seconds between looks at the pipeline's figures
constexpr double kMeasure = 1;       // seconds between figures for outside
constexpr double kIdleRedraw = .25;  // seconds without a frame before the panel is drawn anew
constexpr double kMessageTime = 3;   // seconds
constexpr double kWait = .02;        // seconds for a frame before keys are looked at
constexpr float kThresholdStep = .05f;
constexpr int kLeastPanel = 240;  // rows of a picture that a panel would not fill

double frame_rate(std::int64_t frames, double seconds) {
  return seconds > 0 ? static_cast<double>(frames) / seconds : 0;
}

}  // namespace

VideoViewer::VideoViewer(const VideoOptions& options, VideoPipeline& pipeline,
                         std::unique_ptr<vision::VideoWindow> window)
    : options_(options),
      pipeline_(pipeline),
      recorder_(!pipeline.drops()),
      sinks_(options, pipeline.source_description(), pipeline.labels(), pipeline.meanings()),
      window_(std::move(window)),
      people_of_label_(pipeline.labels().size()),
      threshold_(options.threshold) {
  if (!options.alert.empty())
    alert_.emplace(options.alert, options.alert_after, pipeline.labels(), pipeline.meanings(),
                   pipeline.source_description(), options.alert_worn_wrongly);
  if (window_) {
    window_->set_up("Maskwatch: " + pipeline.source_description(), pipeline.width(),
                    pipeline.height());
    if (options.full_screen) window_->toggle_full_screen();
  }
  if (!options.record.empty())
    recorder_.start(options.record, pipeline.width(), pipeline.height(), pipeline.fps());
}

void VideoViewer::run() {
  try {
    pipeline_.start();
    loop();
  } catch (const std::exception& fault) {
    fault_ = std::current_exception();
    ended_by_ = fault.what();
  }
  pipeline_.finish();
  take_events();
  sinks_.update({}, pipeline_.loss());
  sinks_.finish();
  recorder_.finish();
  look_after_outputs();
  figures_ = pipeline_.figures();
  if (!fault_) ended_by_ = figures_.state;
}

void VideoViewer::loop() {
  while (!quit_) {
    if (window_)
      for (const vision::WindowKey key : window_->poll()) obey(key);
    look_after_outputs();
    if (fault_ && !window_) return;
    Shown next;
    // While the video is paused the pipeline is left alone, but a request to end is noticed.
    const auto state = paused_ ? pipeline_.idle(kWait) : pipeline_.next(next, kWait);
    if (state == VideoPipeline::Next::end) return;
    if (state == VideoPipeline::Next::frame) take(next);
    tell_of_losses();
    measure();
    if (state == VideoPipeline::Next::none && window_ && shown_.frame &&
        seconds_between(displayed_, Clock::now()) > kIdleRedraw)
      display(false);
  }
}

void VideoViewer::take(const Shown& shown) {
  shown_ = shown;
  const double time = shown.frame->video.time;
  take_events();
  if (alert_) {
    if (const std::string fault = alert_->look(shown.tracks, time); !fault.empty())
      say(fault, true);
    if (alert_->runs() > std::exchange(alerts_, alert_->runs())) say("alert raised", true);
  }
  vision::count_people(shown_figures_, shown.tracks, pipeline_.meanings());
  panel_.sample(time, shown_figures_.count);
  sinks_.update(shown.tracks, pipeline_.loss());
  if (window_ || recorder_.recording() || sinks_.wants_picture()) display(true);
  last_frame_ = Clock::now();
  if (frames_++ == 0) first_frame_ = last_frame_;
  pipeline_.observed(Stage::total, seconds_between(shown.frame->captured, last_frame_));
}

// Writes what happened and counts who has left, by the last label.
void VideoViewer::take_events() {
  const auto events = pipeline_.take_events();
  sinks_.write(events);
  for (const vision::TrackEvent& event : events)
    if (event.change == vision::TrackChange::left && event.track.label >= 0)
      ++people_of_label_[static_cast<std::size_t>(event.track.label)];
}

// Draws the latest frame and shows it; a new one is recorded too.
void VideoViewer::display(bool new_frame) {
  const Clock::time_point start = Clock::now();
  refresh_figures(start);
  picture_ = annotated();
  const Clock::time_point drawn = Clock::now();
  if (new_frame) recorder_.add(picture_, shown_.frame->video.time);
  if (new_frame) sinks_.show(picture_);
  if (window_) window_->show(*picture_);
  displayed_ = Clock::now();
  if (!new_frame) return;
  ++rate_frames_;
  pipeline_.observed(Stage::draw, seconds_between(start, drawn));
  if (window_) pipeline_.observed(Stage::show, seconds_between(drawn, displayed_));
}

std::shared_ptr<vision::Image> VideoViewer::annotated() const {
  auto picture = pictures_.take();
  *picture = shown_.frame->video.image;
  vision::draw_tracks(*picture, shown_.tracks, pipeline_.labels(), pipeline_.meanings());
  // Whoever looks from elsewhere has the counts beside the picture.
  const bool has_room = picture->height >= kLeastPanel;
  if (with_panel_ && has_room && (window_ || recorder_.recording()))
    panel_.draw(*picture, shown_figures_, uptime());
  vision::VideoPanel::draw_message(*picture, shown_figures_);
  if (help_) vision::VideoPanel::draw_help(*picture);
  return picture;
}

// For who looks at figures from outside.
void VideoViewer::measure() {
  const Clock::time_point now = Clock::now();
  const double passed = seconds_between(measured_, now);
  if (sinks_.empty() || passed < kMeasure) return;
  const double rate = frame_rate(frames_ - measured_frames_, passed);
  measured_ = now;
  measured_frames_ = frames_;
  const PipelineFigures figures = pipeline_.figures();
  VideoFigures video{
      figures.captured, frames_, figures.dropped, figures.reconnections, rate, {}, {}};
  for (int i = 0; i < static_cast<int>(Stage::count); ++i)
    if (const Latency& latency = figures.of(static_cast<Stage>(i)); latency.count() > 0)
      video.delays.emplace_back(stage_name(static_cast<Stage>(i)), latency);
  sinks_.measure(std::move(video));
}

void VideoViewer::refresh_figures(Clock::time_point now) {
  const bool fresh_message = now < message_until_ && !message_.empty();
  if (seconds_between(refreshed_, now) >= kRefresh || refreshed_ == Clock::time_point()) {
    figures_ = pipeline_.figures();
    refreshed_ = now;
    if (!detector_.empty() && figures_.detector != detector_) say("now: " + figures_.detector);
    detector_ = figures_.detector;
    if (const std::string fault = pipeline_.take_detector_fault(); !fault.empty()) say(fault, true);
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
  shown_figures_.message = !figures_.state.empty() ? figures_.state : fresh_message ? message_ : "";
  shown_figures_.alarming = !figures_.state.empty() || message_alarms_;
}

void VideoViewer::say(const std::string& message, bool alarming) {
  message_ = one_line(message);
  message_alarms_ = alarming;
  message_until_ = Clock::now() + std::chrono::milliseconds(static_cast<int>(1000 * kMessageTime));
  if (alarming && !window_) tell(message_);
}

void VideoViewer::obey(vision::WindowKey key) {
  using enum vision::WindowKey;
  if (key == quit) quit_ = true;
  if (key == pause) pipeline_.set_paused(paused_ = !paused_);
  if (key == screenshot) save_screenshot();
  if (key == record) toggle_recording();
  if (key == help) help_ = !help_;
  if (key == panel) with_panel_ = !with_panel_;
  if (key == detector) {
    pipeline_.next_detector();
    say("another detector ...");
  }
  if (key == more || key == less) {
    const float step = key == more ? kThresholdStep : -kThresholdStep;
    threshold_ = std::clamp(std::round((threshold_ + step) * 20) / 20, .05f, .95f);
    pipeline_.set_threshold(threshold_);
    say(fmt::format("mask from {:.0f}%", 100 * threshold_));
  }
  if (shown_.frame) display(false);
}

// A file that is not there yet, named after the time. One that was named before may not be there
// yet either: the recorder makes it.
std::string VideoViewer::new_file(const std::string& kind, const std::string& extension) {
  const std::string stem =
      fmt::format("{}-{:%Y%m%d-%H%M%S}", kind, fmt::localtime(std::time(nullptr)));
  named_ = stem == named_stem_ ? named_ + 1 : 1;
  named_stem_ = stem;
  const std::filesystem::path folder(options_.screenshot_folder);
  const auto path = [&] {
    return folder /
           (named_ == 1 ? stem + extension : fmt::format("{}-{}{}", stem, named_, extension));
  };
  while (std::filesystem::exists(path())) ++named_;
  return path().string();
}

void VideoViewer::save_screenshot() {
  if (!picture_) return;
  const std::string path = new_file("screenshot", ".png");
  if (recorder_.save_picture(picture_, path))
    say("screenshot: " + path);
  else
    say("no screenshot: the disk is too slow", true);
}

void VideoViewer::toggle_recording() {
  if (recorder_.recording()) {
    recorder_.stop();
    say("recording ended");
    return;
  }
  if (!shown_.frame) return;
  const vision::Image& image = shown_.frame->video.image;
  const std::string path = new_file("recording", ".mp4");
  recorder_.start_soon(path, image.width, image.height, pipeline_.fps());
  say("recording: " + path);
}

void VideoViewer::look_after_outputs() {
  if (const std::string fault = recorder_.take_picture_fault(); !fault.empty()) say(fault, true);
  note_fault(recorder_.take_fault());
  if (const auto error = sinks_.take_error()) note_error(error);
  for (const std::string& note : sinks_.take_notes())
    if (window_)
      say(note, true);
    else
      tell(note);
}

void VideoViewer::note_fault(const std::string& fault) {
  if (!fault.empty()) note_error(std::make_exception_ptr(WriteError(fault)));
}

// A window shows the fault at once; a program without a window ends.
void VideoViewer::note_error(const std::exception_ptr& error) try {
  std::rethrow_exception(error);
} catch (const std::exception& fault) {
  if (window_) say(fault.what(), true);
  if (fault_) return;
  fault_ = error;
  ended_by_ = fault.what();
}

// For the log of an unattended server: one line when the source is lost, one when it is back.
void VideoViewer::tell_of_losses() {
  const std::string loss = pipeline_.loss();
  if (loss.empty() == !lost_) return;
  lost_ = !loss.empty();
  sinks_.update(shown_.tracks, loss);
  if (lost_) {
    lost_at_ = Clock::now();
    tell(loss);
  } else {
    tell(fmt::format("connected again after {:.1f} s", seconds_between(lost_at_, Clock::now())));
  }
}

std::string VideoViewer::stats() const {
  Json latencies;
  for (int i = 0; i < static_cast<int>(Stage::count); ++i) {
    const Latency& latency = figures_.of(static_cast<Stage>(i));
    if (latency.count() == 0) continue;
    const auto ms = [](double seconds) { return std::round(seconds * 1e6) / 1e3; };
    latencies[stage_name(static_cast<Stage>(i))] = Json::object({{"count", latency.count()},
                                                                 {"median", ms(latency.median())},
                                                                 {"p99", ms(latency.quantile(.99))},
                                                                 {"max", ms(latency.longest())}});
  }
  Json people = Json::object();
  for (std::size_t i = 0; i < people_of_label_.size(); ++i)
    people[pipeline_.labels()[i]] = people_of_label_[i];
  Json sinks = Json::object();
  for (const auto& [name, figures] : sinks_.figures()) sinks[name] = figures_json(figures);
  const double seconds = seconds_between(first_frame_, last_frame_);
  const Json out = Json::object({{"source", pipeline_.source_description()},
                                 {"width", pipeline_.width()},
                                 {"height", pipeline_.height()},
                                 {"source_fps", pipeline_.fps()},
                                 {"live", pipeline_.live()},
                                 {"detector", figures_.detector},
                                 {"detect_every", figures_.detect_every},
                                 {"captured", figures_.captured},
                                 {"frames", frames_},
                                 {"dropped", figures_.dropped},
                                 {"dropped_on_connecting", figures_.dropped_on_connecting},
                                 {"detections", figures_.detected},
                                 {"reconnections", figures_.reconnections},
                                 {"seconds", seconds},
                                 {"fps", frame_rate(frames_ - 1, seconds)},
                                 {"people", figures_.people},
                                 {"people_by_label", people},
                                 {"alerts", alerts_},
                                 {"recorded", recorder_.frames()},
                                 {"recording_lost", recorder_.lost()},
                                 {"ended_by", ended_by_},
                                 {"latency_ms", latencies},
                                 {"sinks", sinks}});
  return out.dump(2, Json::KeyOrder::as_added) + "\n";
}

std::string VideoViewer::summary() const {
  const double seconds = seconds_between(first_frame_, last_frame_);
  return fmt::format("{} frames in {:.1f} s ({:.1f} a second), {} dropped; {} {}", frames_, seconds,
                     frame_rate(frames_ - 1, seconds), figures_.dropped, figures_.people,
                     figures_.people == 1 ? "person" : "people");
}

}  // namespace maskwatch::apps
