#include "apps/live/viewer_status.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/file.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;
using apps::ViewerStatus;

TEST_CASE(
    "files that were named within a second, and are not written yet, have names of their own") {
  const TemporaryFolder folder;
  ViewerStatus status(true, folder.path());
  const std::string first = status.new_file("screenshot", ".png");
  const std::string second = status.new_file("screenshot", ".png");
  CHECK(first != second);
  CHECK(std::filesystem::path(first).parent_path() == folder.path());
  std::ofstream(first).put('x');
  ViewerStatus later(true, folder.path());
  CHECK(later.new_file("screenshot", ".png") != first);
}

TEST_CASE("the first fault is kept, and ends a program without a window") {
  for (const bool window : {true, false}) {
    ViewerStatus status(window, ".");
    CHECK(status.fault() == nullptr);
    CHECK(status.fault_text().empty());
    status.note_fault("");
    CHECK(!status.must_end());
    status.note_fault("the disk is full");
    status.note_error(std::make_exception_ptr(std::runtime_error("another")));
    CHECK(status.fault_text() == "the disk is full");
    CHECK_THROWS_AS(std::rethrow_exception(status.fault()), WriteError);
    CHECK(status.must_end() == !window);
    CHECK(status.message(apps::Clock::now()) == (window ? "another" : ""));
  }
}

TEST_CASE("a message is one line, and shown for three seconds") {
  ViewerStatus status(true, ".");
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
