#include "apps/live/viewer_status.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/file.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;
using apps::ViewerStatus;

namespace {

apps::VideoOptions writing_to(const std::string& folder, const std::string& record = "",
                              const std::string& events = "") {
  apps::VideoOptions options;
  options.screenshot_folder = folder;
  options.record = record;
  options.events = events;
  return options;
}

std::exception_ptr full(const std::string& name) {
  return std::make_exception_ptr(WriteError(name + ": the disk is full"));
}

}  // namespace

TEST_CASE(
    "files that were named within a second, and are not written yet, have names of their own") {
  const TemporaryFolder folder;
  ViewerStatus status(true, writing_to(folder.path()));
  const std::string first = status.new_file("screenshot", ".png");
  const std::string second = status.new_file("screenshot", ".png");
  CHECK(first != second);
  CHECK(std::filesystem::path(first).parent_path() == folder.path());
  std::ofstream(first).put('x');
  ViewerStatus later(true, writing_to(folder.path()));
  CHECK(later.new_file("screenshot", ".png") != first);
}

TEST_CASE("the first fault is kept, and ends a program without a window") {
  for (const bool window : {true, false}) {
    ViewerStatus status(window, writing_to("."));
    CHECK(status.fault() == nullptr);
    CHECK(status.fault_text().empty());
    CHECK(!status.must_end());
    status.note_error(std::make_exception_ptr(WriteError("the disk is full")));
    status.note_error(std::make_exception_ptr(std::runtime_error("another")));
    CHECK(status.fault_text() == "the disk is full");
    CHECK_THROWS_AS(std::rethrow_exception(status.fault()), WriteError);
    CHECK(status.must_end() == !window);
    CHECK(status.message(apps::Clock::now()) == (window ? "another" : ""));
  }
}

TEST_CASE("an output that fails ends a program without a window only if it was the last one") {
  ViewerStatus one(false, writing_to(".", "film.mp4"));
  one.note_lost_output(full("film.mp4"));
  CHECK(one.must_end());
  CHECK(one.fault_is_told());

  ViewerStatus two(false, writing_to(".", "film.mp4", "events.jsonl"));
  two.note_lost_output(full("film.mp4"));
  CHECK(!two.must_end());
  CHECK(two.fault_text() == "film.mp4: the disk is full");
  two.note_lost_output(full("events.jsonl"));
  CHECK(two.must_end());
  CHECK(two.fault_is_told());
  two.note_error(std::make_exception_ptr(std::runtime_error("another")));
  CHECK(two.fault_text() == "another");
  CHECK(!two.fault_is_told());
  two.note_lost_output(full("another"));
  CHECK(two.fault_text() == "another");

  ViewerStatus window(true, writing_to(".", "film.mp4"));
  window.note_lost_output(full("film.mp4"));
  CHECK(!window.must_end());
  CHECK(!window.fault_is_told());
}

TEST_CASE("a message is one line, and shown for three seconds") {
  ViewerStatus status(true, writing_to("."));
  const auto now = apps::Clock::now();
  CHECK(status.message(now).empty());
  status.say("two\nlines", true);
  CHECK(status.message(now).find('\n') == std::string::npos);
  CHECK(!status.message(now).empty());
  CHECK(status.alarming());
  CHECK(status.message(now + std::chrono::seconds(4)).empty());
  status.say("calm");
  CHECK(!status.alarming());
}

TEST_CASE("the threshold moves in steps of a twentieth, between one and nineteen of them") {
  CHECK(apps::threshold_beside(.5f, true) == doctest::Approx(.55));
  CHECK(apps::threshold_beside(.52f, false) == doctest::Approx(.45).epsilon(.001));
  CHECK(apps::threshold_beside(.95f, true) == doctest::Approx(.95));
  CHECK(apps::threshold_beside(.05f, false) == doctest::Approx(.05));
}
