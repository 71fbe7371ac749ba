// Events as JSON lines, and readers who do not read.
#include "apps/live/event_log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/file.h"
#include "tests/apps/live/tracks.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

std::string line(const vision::TrackEvent& event) {
  return apps::event_line(event, kLabels, apps::utc_now());
}

}  // namespace

TEST_CASE("events are JSON lines") {
  vision::TrackEvent event{vision::TrackChange::changed, 1.23456, unmasked(3, 1), 0};
  CHECK(apps::event_line(event, kLabels, "now") ==
        R"({"event":"change","time":1.235,"clock":"now","track":3,"label":"without_mask",)"
        R"("confidence":0.875,"box":[10.3,20.0,30.0,40.0],"first_seen":0.0,"last_seen":0.0,)"
        R"("before":"with_mask"})");
  CHECK(apps::event_line(event, kLabels, "now", "door").ends_with(R"(,"source":"door"})"));
  const TemporaryFolder folder;
  {
    apps::EventLog log(folder / "events.jsonl");
    event.change = vision::TrackChange::left;
    event.track.label = -1;
    for (int i = 0; i < 2; ++i) log.write(0, line(event));
    log.finish();
    const std::string text = read_file(folder / "events.jsonl");
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
    const auto first = nlohmann::json::parse(text.substr(0, text.find('\n')));
    CHECK(first["event"] == "leave");
    CHECK(first["label"].is_null());
    CHECK(first["clock"].get<std::string>().size() == 24);
  }
  CHECK_THROWS_AS(apps::EventLog(folder / "no/such/file"), std::runtime_error);
}

TEST_CASE("a log goes on behind what its file holds, on a new line") {
  const TemporaryFolder folder;
  const std::string path = folder / "events.jsonl";
  const auto write = [&](const std::string& text) {
    apps::EventLog log(path);
    log.write(0, text);
    log.finish();
    return log.take_notes();
  };
  CHECK(write("{1}").empty());
  CHECK(write("{2}") == std::vector<std::string>{"--events " + path +
                                                 ": goes on behind the 4 bytes that were there"});
  std::ofstream(path, std::ios::app) << std::string(1500, 'x');
  CHECK(write("{3}") == std::vector<std::string>{
                            "--events " + path +
                            ": goes on behind the 1508 bytes that were there, whose last line was "
                            "cut off"});
  CHECK(read_file(path) == "{1}\n{2}\n" + std::string(1500, 'x') + "\n{3}\n");
  std::ofstream(path) << "a secret\n";
  CHECK_THROWS_WITH_AS(write("{4}"), doctest::Contains("holds no events"), std::runtime_error);
  CHECK(read_file(path) == "a secret\n");
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
    for (int i = 0; i < 12'000; ++i) log.write(0, line(event));  // a pipe holds some 300
    log.finish();
    CHECK(std::chrono::steady_clock::now() - start > std::chrono::seconds(2));
    const std::string fault = log.take_fault();
    CHECK(fault == "--events " + path + ": incomplete: nobody reads it");
    CHECK(log.take_fault().empty());
  }
  close(reader);
  {
    apps::EventLog log(path);  // whose reader comes later
    log.write(0, line({vision::TrackChange::appeared, 1, unmasked(1, 1), -1}));
    const int late = open(path.c_str(), O_RDONLY | O_NONBLOCK);
    log.finish();
    char bytes[1000];
    CHECK(read(late, bytes, sizeof(bytes)) > 100);
    CHECK(log.take_fault().empty());
    close(late);
  }
  {
    apps::EventLog log("/dev/full");
    log.write(0, line({vision::TrackChange::appeared, 1, unmasked(1, 1), -1}));
    log.finish();
    CHECK(log.take_fault() == "--events /dev/full: cannot be written: No space left on device");
  }
}
