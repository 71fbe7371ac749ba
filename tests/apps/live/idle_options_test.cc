// What is said of options that no source heeds.
#include "apps/live/idle_options.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace maskwatch;

using vision::SourceKind;

namespace {

constexpr apps::OpenedSource kFile{SourceKind::file, false}, kFolder{SourceKind::folder, false},
    kGraph{SourceKind::graph, false}, kPipe{SourceKind::pipe, false},
    kCamera{SourceKind::camera, true}, kStream{SourceKind::network, true};

// The options that are told of, one behind the other.
std::string idle(const apps::VideoOptions& options,
                 const std::vector<apps::OpenedSource>& sources) {
  std::string names;
  for (const std::string& line : apps::idle_options(options, sources)) {
    CHECK(line.ends_with(", so it does nothing"));
    names += line.substr(0, line.find(':'));
  }
  return names;
}

}  // namespace

TEST_CASE("options that none of the sources heeds are told of, each in a line") {
  apps::VideoOptions none;
  none.detect_every = -1;
  CHECK(idle(none, {kFile}) == "");
  CHECK(idle(none, {kCamera, kFile}) == "");

  apps::VideoOptions size = none;
  size.camera_size = "640x480";
  for (const auto& source : {kFile, kFolder, kGraph, kPipe, kStream})
    CHECK(idle(size, {source}) == "--camera-size");
  CHECK(idle(size, {kCamera}) == "");
  CHECK(idle(size, {kFile, kCamera}) == "");

  apps::VideoOptions rate = none;
  rate.camera_fps = 10;
  CHECK(idle(rate, {kFile, kStream}) == "--camera-fps");
  CHECK(idle(rate, {kFolder}) == "");
  CHECK(idle(rate, {kCamera}) == "");

  apps::VideoOptions timeout = none;
  timeout.timeout_given = true;
  for (const auto& source : {kFile, kFolder, kGraph}) CHECK(idle(timeout, {source}) == "--timeout");
  for (const auto& source : {kPipe, kStream, kCamera}) CHECK(idle(timeout, {source}) == "");

  apps::VideoOptions once = none;
  once.no_reconnect = true;
  CHECK(idle(once, {kFile, kFolder}) == "--no-reconnect");
  CHECK(idle(once, {kFile, kStream}) == "");
  CHECK(idle(once, {{SourceKind::network, false}}) == "--no-reconnect");  // a file of a server

  apps::VideoOptions loop = none;
  loop.loop = true;
  CHECK(idle(loop, {kCamera, kStream}) == "--loop");
  CHECK(idle(loop, {kCamera, kFile}) == "");

  apps::VideoOptions every = none;
  every.every_frame = true;
  CHECK(idle(every, {kCamera}) == "--every-frame");
  CHECK(idle(every, {kFile}) == "");
}

TEST_CASE("a frame rate to hold does nothing where every frame of a file is looked at") {
  apps::VideoOptions options;
  options.fps_target = 10;
  options.headless = true;
  options.detect_every = -1;
  CHECK(idle(options, {kFile}) == "--fps-target");
  CHECK(idle(options, {kFile, kStream}) == "");
  options.live = true;
  CHECK(idle(options, {kFile}) == "");
  options.live = false;
  options.detect_every = 0;
  CHECK(idle(options, {kFile}) == "");
  options.detect_every = -1;
  options.headless = false;
  CHECK(idle(options, {kFile}) == "");
}
