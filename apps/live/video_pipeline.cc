#include "apps/live/video_pipeline.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace maskwatch::apps {
namespace {

constexpr std::size_t kWaitingFrames = 4;  // frames that may wait for the display
constexpr double kNap = .02;               // seconds between looks at what may have changed
constexpr int kDetail = 480;               // rows of a picture that show all faces that matter
constexpr double kWaited = .5;             // of a frame's time: this long is not all at once

// Probabilities as if masks had to be as probable as `threshold` to be even.
void weigh(std::vector<float>& probabilities, const std::vector<LabelMeaning>& meanings,
           float threshold) {
  float sum = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    const bool mask = meanings[i] == LabelMeaning::mask;
    probabilities[i] *= mask ? 1 - threshold : threshold;
    sum += probabilities[i];
  }
  for (float& probability : probabilities) probability /= std::max(sum, 1e-9f);
}

MaskDetectorOptions detector_options(const PipelineOptions& options) {
  if (options.detectors.empty())
    throw std::invalid_argument("VideoPipeline: the list of face detectors is empty");
  MaskDetectorOptions out;
  out.model = options.model;
  out.meanings = options.meanings;
  out.face_detector = options.detectors.front();
  out.confidence = options.confidence;
  out.detail = options.detail.value_or(kDetail);
  out.device = options.device;
  return out;
}

std::unique_ptr<vision::VideoSource> open_source(const PipelineOptions& options,
                                                 std::atomic<bool>& stop) {
  vision::VideoSourceOptions how = options.source_options;
  how.stop = &stop;
  return vision::VideoSource::open(options.source, how);
}

void nap() { std::this_thread::sleep_for(std::chrono::duration<double>(kNap)); }

}  // namespace

const char* stage_name(Stage stage) {
  switch (stage) {
    case Stage::read:
      return "read";
    case Stage::detect:
      return "detect";
    case Stage::classify:
      return "classify";
    case Stage::draw:
      return "draw";
    case Stage::show:
      return "show";
    default:
      return "total";
  }
}

std::shared_ptr<SharedDetector> make_shared_detector(const PipelineOptions& options) {
  return std::make_shared<SharedDetector>(detector_options(options));
}

VideoPipeline::VideoPipeline(const PipelineOptions& options)
    : VideoPipeline(options, make_shared_detector(options)) {}

VideoPipeline::VideoPipeline(const PipelineOptions& options,
                             std::shared_ptr<SharedDetector> detector)
    : options_(options),
      stop_(options.stop != nullptr ? *options.stop : own_stop_),
      shared_(std::move(detector)),
      labels_(shared_->detector().labels()),
      meanings_(shared_->detector().meanings()),
      source_(open_source(options, stop_)),
      kind_(source_->kind()),
      threshold_(options.threshold),
      tracker_(vision::tracker_options(options.confidence)) {
  meet_source();
}

void VideoPipeline::meet_source() {
  const std::lock_guard lock(mutex_);
  met_ = source_->met();
  description_ = source_->description();
  note_ = source_->note();
  fps_ = source_->fps();
  width_ = source_->width();
  height_ = source_->height();
  live_ = source_->live();
  drop_ = live_ || options_.drop;
  paced_ = live_ ? source_->bursts() : options_.paced;
  patience_ = 1 / std::clamp(fps_, 5., 120.);
  schedule_.emplace(options_.detect_every >= 0 ? options_.detect_every
                    : drop_ || options_.paced  ? 0
                                               : 1,
                    options_.fps_target > 0 ? options_.fps_target : fps_);
  play_clock_.emplace(live_, fps_);
}

VideoPipeline::Source VideoPipeline::source() const {
  const std::lock_guard lock(mutex_);
  return {kind_, description_, note_, fps_, width_, height_, live_, drop_};
}

void VideoPipeline::start() {
  for (const auto body :
       {&VideoPipeline::capture, &VideoPipeline::detect, &VideoPipeline::classify})
    threads_.emplace_back(&VideoPipeline::run, this, body);
}

VideoPipeline::~VideoPipeline() { finish(); }

void VideoPipeline::finish() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

// A fault in one thread ends the others, and the display learns of it.
void VideoPipeline::run(void (VideoPipeline::*body)()) {
  try {
    (this->*body)();
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = ended_ = true;
      changed_.notify_all();
    }
    to_detect_.close(true);
    to_classify_.close(true);
  }
}

void VideoPipeline::set_state(const std::string& state, bool lost) {
  const std::lock_guard lock(mutex_);
  figures_.state = state;
  lost_ = lost;
  changed_.notify_all();
}

// ---- capture

void VideoPipeline::capture() {
  while (!stopping()) {
    const FramePtr frame = pool_.take();
    frame->reset();
    if (!read(frame->video)) break;
    const bool shown = wait_for_its_time(frame->video.time);
    if (stopping()) break;
    if (paused_ && live_) continue;
    frame->captured = live_ && !paced_ ? frame->video.arrived : Clock::now();
    {
      const std::lock_guard lock(mutex_);
      ++figures_.captured;
      figures_.dropped += !shown;
    }
    if (!shown) continue;
    if (drop_)
      send_or_drop(frame);
    else
      send(frame);
  }
  to_detect_.close();
}

// False at the end.
bool VideoPipeline::read(vision::VideoFrame& frame) {
  using Status = vision::VideoSource::Status;
  bool lost = false;
  while (!stopping()) {
    const Clock::time_point start = Clock::now();
    const Status status = source_->read(frame);
    if (status == Status::end) {
      if (!stopping() && options_.loop && !live_ && rewind()) continue;
      set_state(stopping() ? "" : source_->message());
      return false;
    } else if (status == Status::reconnecting) {
      lost = true;
      set_state(source_->message(), true);
    } else {
      const bool again = lost && met_;
      if (!met_) meet_source();
      if (lost) {
        set_state("");
        play_clock_->start_again();
      }
      const double took = seconds_between(start, Clock::now());
      connecting_ = !paced_ && (lost || (connecting_ && took < kWaited / fps_));
      frame.time += time_offset_;
      last_time_ = frame.time;
      frame.number = numbers_++;
      const std::lock_guard lock(mutex_);
      figures_.reconnections += again;
      figures_.of(Stage::read).add(live_ ? seconds_between(frame.arrived, Clock::now()) : took);
      return true;
    }
  }
  set_state("");
  return false;
}

// A file from its beginning, its times going on where they were. False if it held nothing.
bool VideoPipeline::rewind() {
  if (numbers_ == rewound_at_) return false;
  rewound_at_ = numbers_;
  source_ = open_source(options_, stop_);
  time_offset_ = last_time_ + 1 / std::max(fps_, 1.);
  return true;
}

// False if it is too late to be shown, or the program ends before that.
bool VideoPipeline::wait_for_its_time(double time) {
  while (paused_ && !live_ && !stopping()) {
    play_clock_->start_again();
    nap();
  }
  if (!paced_) return !stopping();
  const Clock::time_point now = Clock::now();
  const auto as_duration = [](double seconds) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  };
  const auto wait = play_clock_->wait(time, seconds_between(Clock::time_point(), now));
  if (!wait) return false;
  const Clock::time_point due = now + as_duration(*wait);
  while (!stopping() && (live_ || !paused_) && Clock::now() < due)
    std::this_thread::sleep_until(std::min(due, Clock::now() + as_duration(kNap)));
  return !stopping();
}

void VideoPipeline::send(const FramePtr& frame) {
  frame->due = schedule_->due();
  to_detect_.push(frame);
}

void VideoPipeline::send_or_drop(const FramePtr& frame) {
  frame->due = schedule_->due();
  if (frame->due && detecting_.exchange(true)) {
    frame->due = false;
    schedule_->missed();
  }
  {
    const std::lock_guard lock(mutex_);
    if (to_display_.size() >= kWaitingFrames) {
      to_display_.pop_front();
      ++figures_.dropped;
      figures_.dropped_on_connecting += connecting_;
    }
    to_display_.push_back(frame);
    changed_.notify_all();
  }
  if (frame->due) to_detect_.push(frame);
}

// ---- detection

void VideoPipeline::detect() {
  while (auto next = to_detect_.pop()) {
    const FramePtr& frame = *next;
    for (int changes = detector_changes_.exchange(0); changes > 0; --changes) change_detector();
    if (frame->due) {
      const Clock::time_point start = Clock::now();
      frame->found = shared_->find_faces(frame->video.image);
      const double took = seconds_between(start, Clock::now());
      const std::lock_guard lock(mutex_);
      ++figures_.detected;
      figures_.of(Stage::detect).add(took);
      schedule_->observed(
          std::max(figures_.of(Stage::detect).recent(), figures_.of(Stage::classify).recent()));
    }
    if (drop_) detecting_ = false;
    if (!to_classify_.push(frame)) break;
  }
  to_classify_.close();
}

void VideoPipeline::next_detector() { ++detector_changes_; }

std::string VideoPipeline::take_detector_fault() {
  const std::lock_guard lock(mutex_);
  return std::exchange(figures_.detector_fault, {});
}

void VideoPipeline::change_detector() {
  shared_->between_batches(
      [this](MaskDetector& detector, std::size_t& index) { change(detector, index); });
}

// The next of the list that can be made; those that cannot are named.
void VideoPipeline::change(MaskDetector& detector, std::size_t& index) {
  std::string fault;
  bool made = false;
  for (std::size_t tried = 1; !made && tried < options_.detectors.size(); ++tried) {
    const std::size_t next = (index + tried) % options_.detectors.size();
    try {
      detector.use_face_detector(options_.detectors[next]);
      index = next;
      made = true;
    } catch (const std::exception& error) {
      fault = error.what();
    }
  }
  if (made)
    fault = !options_.detail || detector.heeds_detail()
                ? ""
                : "--detail makes no difference to " + detector.face_detector_name();
  else if (fault.empty())
    fault = "there is no other detector";
  const std::lock_guard lock(mutex_);
  figures_.detector_fault = fault;
  if (!made) return;
  figures_.of(Stage::detect) = Latency();
}

// ---- classification

void VideoPipeline::classify() {
  while (const auto next = to_classify_.pop()) {
    PipelineFrame& frame = **next;
    std::vector<vision::Observation> seen;
    if (frame.due) seen = look_at(frame);
    std::unique_lock lock(mutex_);
    if (frame.due)
      for (auto& event : tracker_.update(frame.video.time, seen))
        events_.push_back(std::move(event));
    hand_over(*next, lock);
  }
  const std::lock_guard lock(mutex_);
  // What the display has not shown yet keeps its boxes: to finish ends all tracks.
  if (drop_)
    for (const FramePtr& frame : to_display_) frame->tracks = tracker_.at(frame->video.time);
  for (auto& event : tracker_.finish()) events_.push_back(std::move(event));
  figures_.people = tracker_.people();
  ended_ = true;
  changed_.notify_all();
}

// Every other look is a mirrored one: the votes add up, and what the classifier makes of a face and
// of its mirror image errs in different ways.
std::vector<vision::Observation> VideoPipeline::look_at(const PipelineFrame& frame) {
  const Clock::time_point start = Clock::now();
  const vision::Image& image = frame.video.image;
  std::vector<Face> faces;
  if (!frame.found.faces.empty())
    faces = shared_->classify(image, frame.found,
                              looks_ % 2 == 1 ? vision::View::mirrored : vision::View::as_it_is);
  ++looks_;
  std::vector<vision::Observation> seen;
  for (Face& face : faces) {
    weigh(face.probabilities, meanings_, std::clamp(threshold_.load(), .01f, .99f));
    seen.push_back(
        {face.box, face.score, vision::weighed_by_meaning(face.probabilities, meanings_)});
  }
  if (!seen.empty()) {
    const std::lock_guard lock(mutex_);
    figures_.of(Stage::classify).add(seconds_between(start, Clock::now()));
  }
  return seen;
}

// The display gets the frame, or hears that the faces of one that it has are known.
void VideoPipeline::hand_over(const FramePtr& frame, std::unique_lock<std::mutex>& lock) {
  figures_.people = tracker_.people();
  frame->ready = true;
  if (!drop_) {
    frame->tracks = tracker_.at(frame->video.time);
    while (to_display_.size() >= kWaitingFrames && !stopping())
      changed_.wait_for(lock, std::chrono::duration<double>(kNap));
    to_display_.push_back(frame);
  }
  changed_.notify_all();
}

// ---- display

VideoPipeline::Next VideoPipeline::next(Shown& shown, double seconds) {
  const auto later = [](Clock::time_point from, double by) {
    return from + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(by));
  };
  const Clock::time_point deadline = later(Clock::now(), seconds);
  std::unique_lock lock(mutex_);
  while (true) {
    if (failure_) std::rethrow_exception(failure_);
    if (stopping()) return Next::end;
    Clock::time_point until = deadline;
    if (!to_display_.empty()) {
      const PipelineFrame& frame = *to_display_.front();
      const Clock::time_point patient_until = later(frame.captured, patience_);
      if (frame.ready || !frame.due || Clock::now() >= patient_until) {
        take(shown);
        return Next::frame;
      }
      until = std::min(until, patient_until);
    } else if (ended_) {
      return Next::end;
    }
    if (Clock::now() >= deadline) return Next::none;
    changed_.wait_until(lock, until);
  }
}

VideoPipeline::Next VideoPipeline::idle(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  return stopping() ? Next::end : Next::none;
}

void VideoPipeline::take(Shown& shown) {
  const FramePtr frame = std::move(to_display_.front());
  to_display_.pop_front();
  shown.tracks = drop_ && !ended_ ? tracker_.at(frame->video.time) : std::move(frame->tracks);
  shown.frame = frame;
  changed_.notify_all();
}

std::vector<vision::TrackEvent> VideoPipeline::take_events() {
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

void VideoPipeline::set_paused(bool paused) {
  paused_ = paused;
  const std::lock_guard lock(mutex_);
  if (drop_ && !paused) to_display_.clear();
}

void VideoPipeline::observed(Stage stage, double seconds) {
  const std::lock_guard lock(mutex_);
  figures_.of(stage).add(seconds);
}

PipelineFigures VideoPipeline::figures() const {
  const std::lock_guard lock(mutex_);
  PipelineFigures out = figures_;
  out.detector = shared_->face_detector_name();
  out.detect_every = schedule_->every();
  return out;
}

std::string VideoPipeline::loss() const {
  const std::lock_guard lock(mutex_);
  return lost_ ? figures_.state : "";
}

}  // namespace maskwatch::apps
