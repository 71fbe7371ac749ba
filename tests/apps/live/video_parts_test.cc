// The parts of detect_mask_video that need no video: queue, latencies, schedule, events, alerts.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "apps/common/files.h"
#include "apps/common/program.h"
#include "apps/live/alert.h"
#include "apps/live/bounded_queue.h"
#include "apps/live/detect_schedule.h"
#include "apps/live/event_log.h"
#include "apps/live/latency.h"
#include "apps/live/recycling_pool.h"
#include "base/file.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

using Words = std::vector<std::string>;
const Words kLabels{"with_mask", "without_mask"};

vision::Track unmasked(std::int64_t number, double since, double seen = 0) {
  vision::Track track;
  track.number = number;
  track.state = vision::TrackState::confirmed;
  track.label = 1;
  track.label_since = since;
  track.last_seen = seen;
  track.confidence = .875f;
  track.box = {10.26f, 20, 30, 40};
  return track;
}

void wait_for(const std::string& path) {
  for (int i = 0; i < 500 && !std::filesystem::exists(path); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

}  // namespace

TEST_CASE("a bounded queue passes everything on in order, and ends") {
  apps::BoundedQueue<int> queue(3);
  std::thread giver([&] {
    for (int i = 0; i < 1000; ++i) queue.push(i);
    queue.close();
  });
  for (int i = 0; i < 1000; ++i) CHECK(queue.pop() == i);
  CHECK(!queue.pop());
  giver.join();
  CHECK(!queue.push(1));
  apps::BoundedQueue<int> small(1);
  CHECK(small.try_push(1));
  CHECK(!small.try_push(2));
  std::thread stuck([&] { CHECK(!small.push(2)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  small.close(true);
  stuck.join();
  CHECK(!small.pop());
}

TEST_CASE("a pool gives back what was used, memory and all") {
  apps::RecyclingPool<std::vector<int>> pool;
  const int* memory = nullptr;
  {
    const auto item = pool.take();
    item->resize(1000);
    memory = item->data();
    CHECK(pool.take()->empty());
  }
  std::set<const int*> seen{pool.take()->data()};
  const auto one = pool.take(), two = pool.take();
  CHECK((one->data() == memory || two->data() == memory));
}

TEST_CASE("latencies: quantiles to a hundredth") {
  apps::Latency latency;
  CHECK(latency.median() == 0);
  for (int i = 1; i <= 1000; ++i) latency.add(i * 1e-4);
  CHECK(latency.count() == 1000);
  CHECK(latency.median() == doctest::Approx(.05).epsilon(.012));
  CHECK(latency.quantile(.99) == doctest::Approx(.099).epsilon(.012));
  CHECK(latency.quantile(1) == doctest::Approx(.1).epsilon(.012));
  CHECK(latency.longest() == .1);
  CHECK(latency.recent() == doctest::Approx(.099).epsilon(.02));
  for (const double odd : {0., -1., 1e9}) latency.add(odd);
  CHECK(latency.quantile(1) > 1000);
}

TEST_CASE("faces are looked for every N-th frame, or as often as there is time") {
  apps::DetectSchedule third(3, 30);
  std::string pattern;
  for (int i = 0; i < 9; ++i) pattern += third.due() ? 'x' : '.';
  CHECK(pattern == "x..x..x..");
  third.missed();
  CHECK(third.due());

  apps::DetectSchedule automatic(0, 30);
  CHECK(automatic.every() == 1);
  automatic.observed(.02);
  CHECK(automatic.every() == 1);
  automatic.observed(.05);
  CHECK(automatic.every() == 2);
  automatic.observed(.5);
  CHECK(automatic.every() == 15);
}

TEST_CASE("events are JSON lines") {
  vision::TrackEvent event{vision::TrackChange::changed, 1.23456, unmasked(3, 1), 0};
  CHECK(apps::event_line(event, kLabels, "now") ==
        R"({"event":"change","time":1.235,"clock":"now","track":3,"label":"without_mask",)"
        R"("confidence":0.875,"box":[10.3,20.0,30.0,40.0],"first_seen":0.0,"last_seen":0.0,)"
        R"("before":"with_mask"})");
  const TemporaryFolder folder;
  {
    apps::EventLog log(folder / "events.jsonl");
    event.change = vision::TrackChange::left;
    event.track.label = -1;
    log.write({event, event}, kLabels);
    log.finish();
    const std::string text = read_file(folder / "events.jsonl");
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
    const auto line = nlohmann::json::parse(text.substr(0, text.find('\n')));
    CHECK(line["event"] == "leave");
    CHECK(line["label"].is_null());
    CHECK(line["clock"].get<std::string>().size() == 24);
  }
  CHECK_THROWS_AS(apps::EventLog(folder / "no/such/file"), apps::UsageError);
}

TEST_CASE("nobody waits for who reads the events, and what is lost is told") {
  const TemporaryFolder folder;
  const std::string path = folder / "pipe";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  const auto start = std::chrono::steady_clock::now();
  {
    apps::EventLog log(path);
    const vision::TrackEvent event{vision::TrackChange::appeared, 1, unmasked(1, 1), -1};
    for (int i = 0; i < 12'000; ++i) log.write({event}, kLabels);  // a pipe holds some 300
    log.finish();
    CHECK(std::chrono::steady_clock::now() - start > std::chrono::seconds(2));
    const std::string fault = log.take_fault();
    CHECK(fault == "--events " + path + ": not written to its end, as nobody reads it");
    CHECK(log.take_fault().empty());
  }
  close(reader);
  {
    apps::EventLog log(path);  // whose reader comes later
    log.write({{vision::TrackChange::appeared, 1, unmasked(1, 1), -1}}, kLabels);
    const int late = open(path.c_str(), O_RDONLY | O_NONBLOCK);
    log.finish();
    char bytes[1000];
    CHECK(read(late, bytes, sizeof(bytes)) > 100);
    CHECK(log.take_fault().empty());
    close(late);
  }
  {
    apps::EventLog log("/dev/full");
    log.write({{vision::TrackChange::appeared, 1, unmasked(1, 1), -1}}, kLabels);
    log.finish();
    CHECK(log.take_fault() == "--events /dev/full: cannot be written: No space left on device");
  }
}

TEST_CASE("what a program writes is kept apart from what it reads") {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return folder / name; };
  write_file_atomically(path("film.mp4"), "film");
  std::filesystem::create_hard_link(path("film.mp4"), path("link.mp4"));
  std::filesystem::create_symlink(folder.path(), path("here"));
  const auto clash = [&](const std::string& output, const std::string& other) {
    try {
      apps::check_outputs({{"--out", output}}, {{"the film", other}, {"nothing", ""}});
      apps::check_outputs({{"--none", ""}, {"--out", output}, {"--more", other}}, {});
      return std::string();
    } catch (const apps::UsageError& error) {
      return std::string(error.what());
    }
  };
  CHECK(clash(path("film.mp4"), path("./film.mp4")) ==
        "--out " + path("film.mp4") + ": this file is the film too");
  CHECK(!clash(path("link.mp4"), path("film.mp4")).empty());
  CHECK(!clash(path("here/film.mp4"), path("film.mp4")).empty());
  CHECK(!clash(path("new.mp4"), path("here/new.mp4")).empty());
  CHECK(clash(path("film.mp4"), path("new.mp4")).empty());
  CHECK(clash("/dev/null", "/dev/null").empty());
  CHECK_THROWS_AS(apps::check_outputs({{"--a", path("new")}, {"--b", path("new")}}, {}),
                  apps::UsageError);
}

TEST_CASE("an alert's words are split as people expect, and nothing more") {
  CHECK(apps::command_words("notify-send 'No mask'") == Words{"notify-send", "No mask"});
  CHECK(apps::command_words("  a  \"b c\"d\\ e '' ") == Words{"a", "b cd e", ""});
  CHECK(apps::command_words("echo $HOME `id` ; rm *|x") ==
        Words{"echo", "$HOME", "`id`", ";", "rm", "*|x"});
  CHECK_THROWS_AS(apps::command_words("a 'b"), apps::UsageError);
  CHECK_THROWS_AS(apps::command_words("   "), apps::UsageError);
  CHECK_THROWS_AS(apps::Alert("no-such-program-at-all", 1, kLabels, ""), apps::UsageError);
}

TEST_CASE("an alert runs once for each person, beside us, and knows what happened") {
  const TemporaryFolder folder;
  const std::string script =
      "sh -c 'env | grep MASKWATCH_ | sort > \"$1/$MASKWATCH_TRACK.part\"; "
      "mv \"$1/$MASKWATCH_TRACK.part\" \"$1/$MASKWATCH_TRACK\"; sleep 1' sh " +
      folder.path();
  apps::Alert alert(script, 3, kLabels, "a 'source' $(id)");
  vision::Track masked = unmasked(9, 0);
  masked.label = 0;
  const auto start = std::chrono::steady_clock::now();
  CHECK(alert.look({unmasked(1, 0, 2.9), masked}, 2.9) == "");
  CHECK(alert.look({unmasked(1, 0, 2.9), masked}, 20) == "");  // not seen since
  CHECK(alert.runs() == 0);
  for (const double time : {3.1, 3.2, 4.})
    CHECK(alert.look({unmasked(1, 0, time), unmasked(2, 1, time), masked}, time) == "");
  CHECK(alert.runs() == 2);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(900));
  wait_for(folder / "1");
  wait_for(folder / "2");
  CHECK(read_file(folder / "1") ==
        "MASKWATCH_BOX=10 20 30 40\nMASKWATCH_CONFIDENCE=0.875\nMASKWATCH_LABEL=without_mask\n"
        "MASKWATCH_SECONDS=3.1\nMASKWATCH_SOURCE=a 'source' $(id)\nMASKWATCH_TIME=3.100\n"
        "MASKWATCH_TRACK=1\n");
  CHECK(!std::filesystem::exists(folder / "9"));
}

TEST_CASE("an alert is raised once for who stays, however many come and go") {
  apps::Alert alert("true", 0, kLabels, "");
  for (int number = 2; number < 1100; ++number)
    while (alert.runs() < number) {
      CHECK(alert.look({unmasked(1, 0), unmasked(number, 0)}, 1) == "");
      REQUIRE(alert.runs() <= number);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  CHECK(alert.look({unmasked(1, 0)}, 2) == "");
  CHECK(alert.runs() == 1099);
}
