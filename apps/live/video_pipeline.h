// From a video source to frames with tracked faces, in threads of their own:
//
//   capture  ->  detection  ->  classification  ->  the caller of next(), who displays
//   (source)     (detector)     (classifier, tracker)
//
// Who owns what: the capture thread the source; the detection thread finds faces and the
// classification thread classifies those of the frame before, each with its half of MaskDetector
// (apps/live/shared_detector.h: several pipelines may share one);
// the tracker, the queue to the display and the figures are guarded by one mutex, held briefly. A
// frame (apps/live/pipeline_frame.h) belongs to one thread at a time, and is only read once it is
// displayed.
//
// Two ways to run. Where no frame may be lost (`drop` false) every frame passes through all threads
// in order, and each of them waits for the next: the result depends on the frames alone. Otherwise
// a frame goes to the display at once, and to detection too if that is idle. The display waits for
// the boxes of the frame's own faces, but no longer than `patience`; then it gets the boxes that
// the tracker expects. If it falls behind, old frames are dropped, so no delay builds up. So are
// those that FFmpeg read while it found out what a new connection carries (the first 7 pictures or
// more of H.264): they come all at once, and late. Where frames always come many at a time, in
// segments (HLS), capture holds each back until its time (apps/live/play_clock.h), and FFmpeg the
// rest.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "apps/common/latency.h"
#include "apps/live/bounded_queue.h"
#include "apps/live/detect_schedule.h"
#include "apps/live/pipeline_frame.h"
#include "apps/live/play_clock.h"
#include "apps/live/recycling_pool.h"
#include "apps/live/shared_detector.h"
#include "vision/masks/mask_detector.h"
#include "vision/masks/tracker.h"
#include "vision/video/video_source.h"

namespace maskwatch::apps {

struct PipelineOptions {
  std::string source;
  vision::VideoSourceOptions source_options;
  bool drop = false;      // frames may be lost to keep up; live sources always may
  bool paced = false;     // a file plays at its own speed rather than as fast as it can; a live
                          // source that comes in bursts always does
  bool loop = false;      // a file begins again at its end
  int detect_every = 0;   // 0: as often as `fps_target` allows
  double fps_target = 0;  // 0: the source's
  // As vision::make_face_detector takes them; the first is used first.
  std::vector<std::string> detectors{vision::kDefaultFaceDetector};
  float confidence = .5f;
  std::optional<int> detail;  // none: so that a picture of 480 rows shows all faces that matter
  float threshold = .5f;      // how probable a mask must be to count
  std::string model;          // empty: the one that ships
  std::map<std::string, LabelMeaning> meanings;  // MaskDetectorOptions::meanings
  kernels::Device* device = nullptr;             // MaskDetectorOptions::device
  // Set, by a signal handler too: everything ends soon. Null: only finish() ends it.
  std::atomic<bool>* stop = nullptr;
};

enum class Stage { read, detect, classify, draw, show, total, count };
// "read", "detect", ...
const char* stage_name(Stage stage);

// What the pipelines of these options can share. Throws what VideoPipeline throws.
std::shared_ptr<SharedDetector> make_shared_detector(const PipelineOptions& options);

struct PipelineFigures {
  std::array<Latency, static_cast<std::size_t>(Stage::count)> stages;
  std::int64_t captured = 0, dropped = 0, detected = 0, reconnections = 0;
  std::int64_t dropped_on_connecting = 0;  // of `dropped`
  std::int64_t people = 0;
  int detect_every = 0;
  std::string detector;
  std::string detector_fault;  // why the next detector could not be used
  std::string state;           // of the source: "reconnecting in 1 s"; empty: all is well
  Latency& of(Stage stage) { return stages[static_cast<std::size_t>(stage)]; }
  const Latency& of(Stage stage) const { return stages[static_cast<std::size_t>(stage)]; }
};

// A frame for the display.
struct Shown {
  std::shared_ptr<const PipelineFrame> frame;
  std::vector<vision::Track> tracks;
};

class VideoPipeline {
 public:
  // Opens the source and loads the models. std::runtime_error names what fails;
  // std::invalid_argument for a list without a detector. With source_options.wait a live source may
  // be away, and come when the pipeline runs (VideoSource::met).
  explicit VideoPipeline(const PipelineOptions& options);
  // With the detector of others, for which theirs of `options` must have been the same.
  VideoPipeline(const PipelineOptions& options, std::shared_ptr<SharedDetector> detector);
  ~VideoPipeline();
  VideoPipeline(const VideoPipeline&) = delete;
  VideoPipeline& operator=(const VideoPipeline&) = delete;

  // Frames come from now on.
  void start();

  enum class Next { frame, none, end };
  // Waits at most `seconds` for the next frame. An error of any thread is thrown here.
  Next next(Shown& shown, double seconds);

  // Waits instead, while the frames are to stay where they are: `none`, or `end` when the program
  // is told to stop.
  Next idle(double seconds);

  // What happened since the last call, in order.
  std::vector<vision::TrackEvent> take_events();

  void set_paused(bool paused);
  void set_threshold(float threshold) { threshold_ = threshold; }
  // Asks for it; the figures say what comes of it.
  void next_detector();
  std::string take_detector_fault();
  // The display's own share of the figures.
  void observed(Stage stage, double seconds);
  PipelineFigures figures() const;
  // Why a live source is lost, while it is.
  std::string loss() const;

  const std::vector<std::string>& labels() const { return labels_; }
  // Of the first of the detectors; before start().
  bool heeds_detail() const { return shared_->detector().heeds_detail(); }
  const std::vector<LabelMeaning>& meanings() const { return meanings_; }
  // MaskDetector's.
  const std::vector<std::string>& all_labels() const { return shared_->detector().all_labels(); }
  std::vector<std::string> unknown_labels() const { return shared_->detector().unknown_labels(); }
  // What is known of the source; until it was met, as VideoSource tells it.
  struct Source {
    vision::SourceKind kind = vision::SourceKind::file;
    std::string description;
    std::string note;  // what is not as it was asked for
    double fps = 0;
    int width = 0, height = 0;  // of its first frame; 0: it was not met
    bool live = false;
    bool drops = false;  // frames may be lost to keep up
  };
  Source source() const;

  // Ends all threads; whoever is still in view then counts as gone, and figures() are final.
  void finish();

 private:
  using FramePtr = std::shared_ptr<PipelineFrame>;

  void capture();
  void detect();
  void classify();

  void meet_source();
  bool read(vision::VideoFrame& frame);
  bool rewind();
  bool wait_for_its_time(double time);
  void send(const FramePtr& frame);
  void send_or_drop(const FramePtr& frame);
  void change_detector();
  void change(MaskDetector& detector, std::size_t& index);
  std::vector<vision::Observation> look_at(const PipelineFrame& frame);
  void hand_over(const FramePtr& frame, std::unique_lock<std::mutex>& lock);
  void take(Shown& shown);
  void run(void (VideoPipeline::*body)());
  void set_state(const std::string& state, bool lost = false);

  const PipelineOptions options_;
  std::atomic<bool> own_stop_{false};
  std::atomic<bool>& stop_;
  std::atomic<bool> failed_{false};  // this pipeline alone
  bool stopping() const { return stop_ || failed_; }
  const std::shared_ptr<SharedDetector> shared_;
  std::int64_t looks_ = 0;  // classification
  const std::vector<std::string> labels_;
  const std::vector<LabelMeaning> meanings_;     // of each of them
  std::unique_ptr<vision::VideoSource> source_;  // capture, which opens a file again to loop
  const vision::SourceKind kind_;

  // Of the source. Capture writes them once more when it meets one that was away, before its first
  // frame goes on, with the mutex for those who do not hold a frame.
  std::string description_, note_;
  double fps_ = 0;
  int width_ = 0, height_ = 0;
  bool met_ = false, live_ = false, drop_ = false, paced_ = false;
  double patience_ = 0;  // seconds from capture to display without boxes of the frame's own

  RecyclingPool<PipelineFrame> pool_;
  BoundedQueue<FramePtr> to_detect_{2}, to_classify_{2};
  std::optional<DetectSchedule> schedule_;  // capture, but for observed()
  std::atomic<bool> detecting_{false};      // a frame is in detection or waits for it
  std::atomic<bool> paused_{false};
  std::atomic<int> detector_changes_{0};  // asked for and not yet made
  std::atomic<float> threshold_;

  // Of the capture thread.
  double time_offset_ = 0, last_time_ = 0;
  std::int64_t numbers_ = 0, rewound_at_ = 0;  // frames
  bool connecting_ = true;                     // no frame had to be waited for yet
  std::optional<PlayClock> play_clock_;        // of what is paced_

  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::deque<FramePtr> to_display_;
  vision::Tracker tracker_;
  std::vector<vision::TrackEvent> events_;
  PipelineFigures figures_;
  std::exception_ptr failure_;
  bool lost_ = false;   // the source is, and is being connected again
  bool ended_ = false;  // nothing more comes

  std::vector<std::thread> threads_;
};

}  // namespace maskwatch::apps
