#include "vision/video/stream_pipe.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <thread>

#include "tests/vision/video/video_support.h"

using namespace maskwatch;

using namespace video_support;

TEST_CASE("stream_pipe: a named pipe plays to its end, and its end is the end") {
  const Folder folder;
  const std::string clip = write_clip(folder.file("a.mkv"), 50, 64, 48);
  const std::string pipe = folder.file("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    write_bytes(pipe, read_bytes(clip));
  });
  const auto source = VideoSource::open(pipe);
  CHECK(!source->live());
  VideoFrame frame;
  int frames = 0;
  while (source->read(frame) == Status::frame) ++frames;
  writer.join();
  CHECK(frames == 50);
  CHECK(source->message() == "");
  CHECK(source->read(frame) == Status::end);
}

TEST_CASE("stream_pipe: a pipe without a writer, or whose writer stalls, is given up") {
  const Folder folder;
  const std::string pipe = folder.file("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  double start = seconds_now();
  CHECK(says(play(pipe, {.timeout = 0.3}).error, pipe + ": no data for 0.3 s"));
  CHECK(seconds_now() - start < 1);

  std::atomic<bool> stop = false;
  const auto stop_soon = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stop = true;
  };
  start = seconds_now();
  std::thread stopper(stop_soon);
  CHECK(says(play(pipe, {.timeout = 30, .stop = &stop}).error, "stopped"));
  CHECK(seconds_now() - start < 0.5);
  stopper.join();

  // Both ends: no writer ever leaves.
  const int stalled = open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(stalled >= 0);
  const std::string bytes = jpegs(0, 20, 64, 48);
  const auto send_some = [&] {
    REQUIRE(write(stalled, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  };
  send_some();
  const Played played = play(pipe, {.timeout = 0.3, .format = "mjpeg"});
  CHECK(played.frames.size() >= 15);
  CHECK(says(played.message, pipe + ": no data for 0.3 s"));

  stop = false;
  send_some();
  const auto source = VideoSource::open(pipe, {.timeout = 30, .format = "mjpeg", .stop = &stop});
  std::thread late(stop_soon);
  start = seconds_now();
  VideoFrame frame;
  while (source->read(frame) == Status::frame) {
  }
  CHECK(seconds_now() - start < 0.5);
  late.join();
  close(stalled);
}

TEST_CASE("stream_pipe: what a pipeline's program has written before it ended is played") {
  const Folder folder;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const std::string bytes = jpegs(0, 20, 64, 48);
  REQUIRE(write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  close(ends[1]);
  const Played played = play("/dev/fd/" + std::to_string(ends[0]), {.format = "mjpeg"});
  close(ends[0]);
  CHECK(played.frames.size() == 20);
  CHECK(played.message == "");
}
