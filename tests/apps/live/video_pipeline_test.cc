// The whole pipeline on drawn videos with known truth: with the model that ships and the cascade
// that Debian installs.
#include "apps/live/video_pipeline.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "apps/common/face_options.h"
#include "apps/live/video_options.h"
#include "tests/apps/temporary_folder.h"
#include "tests/vision/video/hls_server.h"
#include "tests/vision/video/video_support.h"
#include "vision/drawn/drawn_video.h"
#include "vision/haar/haar_model.h"
#include "vision/image/geometry.h"
#include "vision/video/video_writer.h"

using namespace maskwatch;

namespace {

using apps::VideoPipeline;
using vision::DrawnVideo;

// ThreadSanitizer sees to the threads, not to their speed.
#ifdef __SANITIZE_THREAD__
constexpr bool kFast = false;
#else
constexpr bool kFast = true;
#endif
constexpr double kPatience = 600;          // s, for frames that surely come
constexpr double kQuiet = kFast ? .3 : 5;  // s without one: those on their way have come

DrawnVideo drawn(const std::string& scene, int width = 480, int height = 360) {
  return DrawnVideo(width, height, 30, vision::drawn_scene(scene));
}

std::string written(const TemporaryFolder& folder, const DrawnVideo& video, int frames = 1 << 30) {
  const std::string path = folder / "video.mp4";
  const vision::Image first = video.frame(0);
  vision::VideoWriter writer(path, first.width, first.height, {.fps = video.fps()});
  for (int i = 0; i < std::min(frames, video.frames()); ++i)
    writer.write(video.frame(i), i / video.fps());
  writer.close();
  return path;
}

apps::PipelineOptions options_for(const std::string& source, std::atomic<bool>& stop) {
  apps::PipelineOptions options;
  options.source = source;
  options.detectors = {"haar"};
  options.model = apps::model_file({});
  options.stop = &stop;
  return options;
}

// What was seen of a video.
struct Seen {
  std::vector<std::vector<vision::Track>> tracks;  // of each frame
  std::vector<double> times;
  std::vector<std::int64_t> numbers;
  std::vector<vision::TrackEvent> events;
  apps::PipelineFigures figures;
  std::vector<std::string> labels;

  bool operator==(const Seen& other) const {
    const auto same = [](const vision::Track& a, const vision::Track& b) {
      return a.number == b.number && a.label == b.label && a.box.x == b.box.x &&
             a.box.height == b.box.height && a.confidence == b.confidence;
    };
    return times == other.times && tracks.size() == other.tracks.size() &&
           std::equal(tracks.begin(), tracks.end(), other.tracks.begin(),
                      [&](const auto& a, const auto& b) {
                        return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
                      });
  }
};

Seen watch(const apps::PipelineOptions& options, int most = 1 << 30) {
  VideoPipeline pipeline(options);
  pipeline.start();
  Seen seen;
  seen.labels = pipeline.labels();
  apps::Shown shown;
  while (static_cast<int>(seen.tracks.size()) < most) {
    const auto next = pipeline.next(shown, kPatience);
    if (next == VideoPipeline::Next::end) break;
    REQUIRE(next == VideoPipeline::Next::frame);
    seen.tracks.push_back(shown.tracks);
    seen.times.push_back(shown.frame->video.time);
    seen.numbers.push_back(shown.frame->video.number);
  }
  pipeline.finish();
  seen.events = pipeline.take_events();
  seen.figures = pipeline.figures();
  return seen;
}

struct Score {
  std::map<int, std::set<std::int64_t>> numbers;  // of each person
  int right = 0, labelled = 0, visible = 0;
};

// The track that covers a box best.
const vision::Track* track_of(const vision::Box& box, const std::vector<vision::Track>& tracks) {
  const vision::Track* best = nullptr;
  float most = .35f;
  for (const vision::Track& track : tracks)
    if (const float shared = vision::intersection_over_union(track.box, box); shared > most) {
      best = &track;
      most = shared;
    }
  return best;
}

// Tracks against the truth, in frames in which most of a face can be seen.
Score score(const DrawnVideo& video, const Seen& seen) {
  Score out;
  for (std::size_t i = 0; i < seen.tracks.size(); ++i)
    for (const auto& there : video.truth(static_cast<int>(seen.numbers[i]))) {
      if (there.visible < .85f) continue;
      ++out.visible;
      const vision::Track* track = track_of(there.box, seen.tracks[i]);
      if (track == nullptr) continue;
      out.numbers[there.person].insert(track->number);
      ++out.labelled;
      const auto& label = seen.labels[static_cast<std::size_t>(track->label)];
      out.right += (vision::meaning_of(label) == vision::LabelMeaning::mask) == there.masked;
    }
  return out;
}

// Nobody is counted twice or mistaken for another, and labels are right.
void check_against_truth(const std::string& scene, const DrawnVideo& video, const Seen& seen) {
  const Score result = score(video, seen);
  std::set<std::int64_t> all;
  for (const auto& numbers : result.numbers) {
    CAPTURE(numbers.first);             // the person
    CHECK(numbers.second.size() == 1);  // never another number: no swap
    all.insert(numbers.second.begin(), numbers.second.end());
  }
  const auto people = vision::drawn_scene(scene).size();
  CHECK(result.numbers.size() == people);
  CHECK(all.size() == people);
  CHECK(seen.figures.people == static_cast<std::int64_t>(people));
  CHECK(result.right >= .98 * result.labelled);
  CHECK(result.labelled >= .85 * result.visible);
}

void check_scene(const std::string& scene, int detect_every) {
  CAPTURE(scene);
  CAPTURE(detect_every);
  const TemporaryFolder folder;
  const DrawnVideo video = drawn(scene);
  std::atomic<bool> stop{false};
  auto options = options_for(written(folder, video), stop);
  options.detect_every = detect_every;
  const Seen seen = watch(options);
  CHECK(seen.tracks.size() == static_cast<std::size_t>(video.frames()));
  CHECK(seen.figures.dropped == 0);
  check_against_truth(scene, video, seen);
  const auto people = vision::drawn_scene(scene).size();
  const auto of = [&](vision::TrackChange change) {
    return std::count_if(seen.events.begin(), seen.events.end(),
                         [&](const auto& event) { return event.change == change; });
  };
  CHECK(of(vision::TrackChange::appeared) == static_cast<std::ptrdiff_t>(people));
  CHECK(of(vision::TrackChange::left) == static_cast<std::ptrdiff_t>(people));
  CHECK(of(vision::TrackChange::changed) == (scene == "mask" ? 2 : 0));
}

bool ready() {
  if (vision::find_haar_cascade("haarcascade_frontalface_alt2.xml")) return true;
  MESSAGE("SKIPPED, NOT TESTED: opencv-data is not installed");
  return false;
}

}  // namespace

TEST_CASE("drawn videos: everybody is counted once, labelled right, and not mistaken for others") {
  if (!ready()) return;
  SUBCASE("who cross") { check_scene("cross", 1); }
  SUBCASE("who puts on a mask") { check_scene("mask", 1); }
  SUBCASE("who come and go") { check_scene("leave", 1); }
  SUBCASE("who cross, looked for in every third frame") { check_scene("cross", 3); }
}

TEST_CASE("options that only name a source: cascades, the model that ships, nobody who stops it") {
  if (!ready()) return;
  const TemporaryFolder folder;
  apps::PipelineOptions options;
  options.source = written(folder, drawn("cross", 240, 180), 10);
  CHECK(watch(options).tracks.size() == 10);
  options.detectors.clear();
  CHECK_THROWS_AS(VideoPipeline{options}, std::invalid_argument);
}

TEST_CASE("drawn people before a camera: the same, though frames may be lost") {
  if (!ready()) return;
  const TemporaryFolder folder;
  const DrawnVideo video = drawn("cross");
  std::atomic<bool> stop{false};
  auto options = options_for("lavfi:movie=" + written(folder, video) + ",realtime", stop);
  options.source_options.live = true;
  options.source_options.reconnect = false;
  const Seen seen = watch(options);
  CHECK(seen.figures.captured == video.frames());
  if (kFast) check_against_truth("cross", video, seen);
}

TEST_CASE("where no frame is lost the same video gives the same tracks") {
  if (!ready()) return;
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  auto options = options_for(written(folder, drawn("cross", 240, 180), 90), stop);
  options.detect_every = 1;
  const Seen first = watch(options);
  CHECK(first.tracks.size() == 90);
  stop = false;
  CHECK(first == watch(options));
}

TEST_CASE("a live source: nothing is lost, boxes come soon, and a slow display drops old frames") {
  if (!ready()) return;
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  const std::string clip = written(folder, drawn("one", 240, 180), 90);
  auto options = options_for("lavfi:movie=" + clip + ",realtime", stop);
  options.source_options.live = true;
  options.source_options.reconnect = false;
  const Seen seen = watch(options);
  CHECK(seen.figures.dropped + static_cast<std::int64_t>(seen.tracks.size()) ==
        seen.figures.captured);
  CHECK(seen.figures.captured == 90);
  CHECK(seen.figures.of(apps::Stage::read).count() == 90);
  CHECK(std::is_sorted(seen.times.begin(), seen.times.end()));
  if (kFast) CHECK(seen.tracks.back().size() == 1);
  const auto with_box = std::count_if(seen.tracks.begin(), seen.tracks.end(),
                                      [](const auto& tracks) { return tracks.size() == 1; });
  if (kFast) CHECK(with_box >= .8 * static_cast<double>(seen.tracks.size()));

  stop = false;
  VideoPipeline slow(options);
  slow.start();
  apps::Shown shown;
  std::vector<double> delays;
  while (slow.next(shown, kPatience) == VideoPipeline::Next::frame) {
    delays.push_back(apps::seconds_between(shown.frame->captured, apps::Clock::now()));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  slow.finish();
  CHECK(slow.figures().dropped > 30);
  // At most the frames that may wait, however long it goes on.
  CHECK(*std::max_element(delays.begin(), delays.end()) < 1);
}

TEST_CASE("what comes all at once on connecting is told apart from what a slow display drops") {
  if (!ready()) return;
  std::atomic<int> phase{0};
  const video_support::Server server([&](int connection, int, const std::atomic<bool>& stop) {
    video_support::send_all(connection, video_support::jpegs(0, 20, 160, 120));
    while (!stop && phase == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (int i = 20; i < 50 && !stop; ++i) {
      video_support::send_all(connection, video_support::jpegs(i, 1, 160, 120));
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
    }
    phase = 2;
  });
  std::atomic<bool> stop{false};
  auto options = options_for(server.address(), stop);
  options.source_options.format = "mjpeg";
  options.source_options.reconnect = false;
  options.detectors = {"none"};
  VideoPipeline pipeline(options);
  pipeline.start();
  const auto until = [&](const auto& holds) {
    for (int i = 0; i < 50 * kPatience && !holds(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return holds();
  };
  REQUIRE(until([&] { return pipeline.figures().dropped >= 15; }));
  const apps::PipelineFigures connected = pipeline.figures();
  CHECK(connected.dropped_on_connecting <= connected.dropped);
  if (kFast) CHECK(connected.dropped_on_connecting >= 5);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  phase = 1;
  REQUIRE(until([&] { return phase == 2; }));
  pipeline.finish();
  const apps::PipelineFigures figures = pipeline.figures();
  CHECK(figures.dropped > connected.dropped + 20);
  CHECK(figures.dropped_on_connecting <= connected.dropped + 2);
}

TEST_CASE("a file plays at its own speed, again and again, until it is told to stop") {
  if (!ready()) return;
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  auto options = options_for(written(folder, drawn("one", 160, 120), 15), stop);
  options.paced = options.loop = true;
  const auto start = apps::Clock::now();
  const Seen seen = watch(options, 40);
  CHECK(apps::seconds_between(start, apps::Clock::now()) > 38 / 30.);
  CHECK(seen.tracks.size() == 40);
  CHECK(std::adjacent_find(seen.times.begin(), seen.times.end(), std::greater_equal<>()) ==
        seen.times.end());
  CHECK(seen.times[39] == doctest::Approx(39 / 30.).epsilon(.05));
}

TEST_CASE("pausing holds a file where it is, and the next detector takes over") {
  if (!ready()) return;
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  auto options = options_for(written(folder, drawn("one", 160, 120), 60), stop);
  options.paced = true;
  options.detectors = {"haar", "no such detector", "none"};
  options.detail = 480;
  VideoPipeline pipeline(options);
  pipeline.start();
  apps::Shown shown;
  REQUIRE(pipeline.next(shown, kPatience) == VideoPipeline::Next::frame);
  pipeline.set_paused(true);
  while (pipeline.next(shown, kQuiet) == VideoPipeline::Next::frame) {
  }
  const auto held = shown.frame->video.number;
  CHECK(held < 20);
  CHECK(pipeline.next(shown, .2) == VideoPipeline::Next::none);
  pipeline.next_detector();
  pipeline.set_paused(false);
  REQUIRE(pipeline.next(shown, kPatience) == VideoPipeline::Next::frame);
  CHECK(shown.frame->video.number == held + 1);
  for (int i = 0; i < 10; ++i) pipeline.next(shown, kPatience);
  CHECK(pipeline.figures().detector.starts_with("none"));
  CHECK(pipeline.take_detector_fault().find("--detail") != std::string::npos);
  pipeline.finish();
  CHECK(pipeline.next(shown, 1) == VideoPipeline::Next::end);
}

TEST_CASE("several pipelines with one detector take the next one together") {
  if (!ready()) return;
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  auto options = options_for(written(folder, drawn("one", 160, 120), 5), stop);
  options.detectors = {"haar", "no such detector", "none"};
  const auto detector = apps::make_shared_detector(options);
  VideoPipeline ended(options, detector), other(options, detector);
  apps::Shown shown;
  ended.start();
  while (ended.next(shown, kPatience) == VideoPipeline::Next::frame) {
  }
  other.next_detector();
  other.start();
  while (other.next(shown, kPatience) == VideoPipeline::Next::frame) {
  }
  CHECK(other.figures().detector.starts_with("none"));
  CHECK(ended.figures().detector == other.figures().detector);
}

TEST_CASE("what cannot be opened is named") {
  std::atomic<bool> stop{false};
  auto options = options_for("/no/such/film.mp4", stop);
  CHECK(message_of([&] { VideoPipeline pipeline(options); }).find("/no/such/film.mp4") !=
        std::string::npos);
  options.model = "/no/such/model";
  CHECK(message_of([&] { VideoPipeline pipeline(options); }).find("/no/such/model") !=
        std::string::npos);
  const TemporaryFolder folder;
  auto unstarted = options_for(written(folder, drawn("one", 160, 120), 5), stop);
  VideoPipeline pipeline(unstarted);  // never started: no harm
}

TEST_CASE("a live playlist (HLS) plays smoothly, though it comes in segments") {
  const video_support::Folder folder;
  const video_support::HlsServer server(folder);
  std::atomic<bool> stop{false};
  auto options = options_for(server.address(), stop);
  options.detectors = {"none"};
  options.paced = true;
  VideoPipeline pipeline(options);
  CHECK(pipeline.source().live);
  pipeline.start();
  apps::Shown shown;
  std::vector<apps::Clock::time_point> when;
  std::vector<double> times;
  // The last second is not waited for: its end is the playlist's.
  while (times.empty() || times.back() < 3.9) {
    REQUIRE(pipeline.next(shown, kPatience) == VideoPipeline::Next::frame);
    when.push_back(apps::Clock::now());
    times.push_back(shown.frame->video.time);
  }
  pipeline.finish();
  if (!kFast) return;
  CHECK(pipeline.figures().dropped <= 2);
  CHECK(times.size() >= 117);
  double longest = 0;
  for (std::size_t i = 1; i < when.size(); ++i)
    longest = std::max(longest, apps::seconds_between(when[i - 1], when[i]));
  CHECK(longest < .7);
  CHECK(apps::seconds_between(when.front(), when.back()) ==
        doctest::Approx(times.back() - times.front()).epsilon(.1));
}

TEST_CASE("a gap of hours in a file does not stop the picture") {
  std::atomic<bool> stop{false};
  auto options = options_for(
      "lavfi:color=size=64x48:rate=30:duration=0.66,setpts='(N/30+if(lt(N,10),0,3.6e5))/TB'", stop);
  options.detectors = {"none"};
  options.paced = true;
  const auto start = apps::Clock::now();
  const Seen seen = watch(options);
  CHECK(seen.times.size() == 20);
  CHECK(seen.times.back() > 3.6e5);
  CHECK(apps::seconds_between(start, apps::Clock::now()) < 20);
}

TEST_CASE("--live plays a file once, at its own speed, and a slow display drops what is old") {
  const TemporaryFolder folder;
  std::atomic<bool> stop{false};
  apps::VideoOptions wanted;
  wanted.sources = {{"", written(folder, drawn("one", 160, 120), 30)}};
  wanted.faces.face = "none";
  wanted.live = wanted.headless = true;
  wanted.detect_every = -1;
  VideoPipeline pipeline(apps::pipeline_options(wanted, wanted.sources[0], stop));
  const auto start = apps::Clock::now();
  pipeline.start();
  apps::Shown shown;
  int count = 0;
  while (pipeline.next(shown, kPatience) == VideoPipeline::Next::frame) {
    ++count;
    std::this_thread::sleep_for(std::chrono::milliseconds(80));
  }
  CHECK(apps::seconds_between(start, apps::Clock::now()) > 29 / 30.);
  const apps::PipelineFigures figures = pipeline.figures();
  CHECK(figures.captured == 30);
  CHECK(figures.dropped + count == 30);
  CHECK(figures.dropped > 5);
  CHECK(figures.reconnections == 0);
  CHECK(figures.state == "");
}
