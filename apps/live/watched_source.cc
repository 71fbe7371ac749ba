#include "apps/live/watched_source.h"

#include <fmt/format.h>

#include <utility>

namespace maskwatch::apps {
namespace {

constexpr double kMeasure = 1;  // seconds between figures for outside
// Seconds between lines about a source that comes and goes: it was there for a moment only.
constexpr double kBetweenLosses = 30, kBrief = 3;

}  // namespace

double frame_rate(std::int64_t frames, double seconds) {
  return seconds > 0 ? static_cast<double>(frames) / seconds : 0;
}

WatchedSource::WatchedSource(const VideoOptions& options, int index, const WatchedName& name,
                             VideoPipeline& pipeline, EventSinks& sinks)
    : index_(index),
      name_(name),
      pipeline_(pipeline),
      sinks_(sinks),
      people_of_label_(pipeline.labels().size()) {
  if (!options.alert.empty())
    alert_.emplace(options.alert, options.alert_after, pipeline.labels(), pipeline.meanings(),
                   name.name.empty() ? name.description : name.name, options.alert_worn_wrongly);
}

std::string WatchedSource::take(const Shown& shown) {
  latest_ = shown;
  take_events();
  sinks_.update(index_, shown.tracks, pipeline_.loss());
  if (!alert_) return "";
  std::string fault = alert_->look(shown.tracks, shown.frame->video.time);
  if (alert_->runs() > std::exchange(alerts_, alert_->runs()) && fault.empty())
    return "alert raised";
  return fault;
}

void WatchedSource::displayed() {
  last_frame_ = Clock::now();
  if (frames_++ == 0) first_frame_ = last_frame_;
  pipeline_.observed(Stage::total, seconds_between(latest_.frame->captured, last_frame_));
}

void WatchedSource::take_events() {
  const auto events = pipeline_.take_events();
  sinks_.write(index_, events);
  for (const vision::TrackEvent& event : events)
    if (event.change == vision::TrackChange::left && event.track.label >= 0)
      ++people_of_label_[static_cast<std::size_t>(event.track.label)];
}

std::string WatchedSource::take_loss() {
  const std::string loss = pipeline_.loss();
  const Clock::time_point now = Clock::now();
  if (lost_ != !loss.empty()) {
    lost_ = !lost_;
    sinks_.update(index_, latest_.tracks, loss);
    flickers_ = lost_ && seconds_between(back_at_, now) < kBrief;
    (lost_ ? lost_at_ : back_at_) = now;
    losses_ += lost_;
  }
  const bool soon = seconds_between(loss_told_at_, now) < kBetweenLosses;
  if (lost_ == loss_is_told_ || (flickers_ && soon)) return "";
  loss_is_told_ = lost_;
  std::string text = loss;
  if (!lost_) {
    const bool again = pipeline_.figures().reconnections > 0;
    text = fmt::format("connected{} after {:.1f} s", again ? " again" : "",
                       seconds_between(lost_at_, now));
    if (const std::string note = pipeline_.source().note; !again && !note.empty())
      text += "; " + note;
  } else {
    if (losses_ > 1) text += fmt::format(" (lost {} times since it was last told)", losses_);
    losses_ = 0;
    loss_told_at_ = now;
  }
  return name_.name.empty() ? text : name_.name + ": " + text;
}

bool WatchedSource::measure() {
  const Clock::time_point now = Clock::now();
  const double passed = seconds_between(measured_, now);
  if (sinks_.empty() || passed < kMeasure) return false;
  const double rate = frame_rate(frames_ - measured_frames_, passed);
  measured_ = now;
  measured_frames_ = frames_;
  const PipelineFigures figures = pipeline_.figures();
  VideoFigures video{figures.captured, frames_, figures.dropped, figures.reconnections, rate, {}};
  for (int i = 0; i < static_cast<int>(Stage::count); ++i)
    if (const Latency& latency = figures.of(static_cast<Stage>(i)); latency.count() > 0)
      video.delays.emplace_back(stage_name(static_cast<Stage>(i)), latency);
  sinks_.measure(index_, video);
  return true;
}

void WatchedSource::end() {
  take_events();
  sinks_.update(index_, {}, pipeline_.loss());
}

Json WatchedSource::latencies() const {
  const PipelineFigures figures = pipeline_.figures();
  Json out;
  for (int i = 0; i < static_cast<int>(Stage::count); ++i) {
    const Latency& latency = figures.of(static_cast<Stage>(i));
    if (latency.count() == 0) continue;
    Json& stage = out[stage_name(static_cast<Stage>(i))];
    stage = Json::object({{"count", latency.count()}});
    stage.update(latency_json(latency));
  }
  return out;
}

Json WatchedSource::stats() const {
  const PipelineFigures figures = pipeline_.figures();
  const VideoPipeline::Source source = pipeline_.source();
  Json people = Json::object();
  for (std::size_t i = 0; i < people_of_label_.size(); ++i)
    people[pipeline_.labels()[i]] = people_of_label_[i];
  const double seconds = seconds_between(first_frame_, last_frame_);
  return Json::object({{"source", source.description},
                       {"width", source.width},
                       {"height", source.height},
                       {"source_fps", source.fps},
                       {"live", source.live},
                       {"detector", figures.detector},
                       {"detect_every", figures.detect_every},
                       {"captured", figures.captured},
                       {"frames", frames_},
                       {"dropped", figures.dropped},
                       {"dropped_on_connecting", figures.dropped_on_connecting},
                       {"detections", figures.detected},
                       {"reconnections", figures.reconnections},
                       {"seconds", seconds},
                       {"fps", frame_rate(frames_ - 1, seconds)},
                       {"people", figures.people},
                       {"people_by_label", people},
                       {"alerts", alerts_}});
}

std::string WatchedSource::summary() const {
  const PipelineFigures figures = pipeline_.figures();
  const double seconds = seconds_between(first_frame_, last_frame_);
  return fmt::format("{} frames in {:.1f} s ({:.1f} a second), {} dropped; {} {}", frames_, seconds,
                     frame_rate(frames_ - 1, seconds), figures.dropped, figures.people,
                     figures.people == 1 ? "person" : "people");
}

}  // namespace maskwatch::apps
