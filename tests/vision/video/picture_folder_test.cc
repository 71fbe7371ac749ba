#include "vision/video/picture_folder.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/vision/video/video_support.h"

using namespace maskwatch;

using namespace video_support;

TEST_CASE("picture_folder: runs of digits are ordered as numbers") {
  std::vector<std::string> names = {"b1",    "a10", "a9", "a09", "a", "a1b2",
                                    "a1b10", "A1",  "a1", "10",  "9", "a00000000000000000000008"};
  std::sort(names.begin(), names.end(), vision::natural_less);
  CHECK(names == std::vector<std::string>{"9", "10", "A1", "a", "a1", "a1b2", "a1b10",
                                          "a00000000000000000000008", "a09", "a9", "a10", "b1"});
  for (const std::string& a : names)
    for (const std::string& b : names)
      CHECK(vision::natural_less(a, b) + vision::natural_less(b, a) == (a != b));
}

TEST_CASE("picture_folder: frames come in order, with times, and what is broken is left out") {
  const Folder folder;
  const int numbers[] = {1, 2, 10};
  for (const int i : numbers)
    vision::save_image(folder.file(fmt::format("f{}.png", i)), drawn(i, 20 + i, 15));
  write_bytes(folder.file("f3.png"), "this is no picture");
  write_bytes(folder.file("f4.txt"), "nor this");
  const Played played = play(folder.path.string(), {.fps = 10});
  REQUIRE(played.error == "");
  REQUIRE(played.frames.size() == 3);
  for (int i = 0; i < 3; ++i) {
    const VideoFrame& frame = played.frames[i];
    CHECK(frame.number == i);
    CHECK(frame.time == doctest::Approx(i / 10.0));
    CHECK(frame.image.pixels == drawn(numbers[i], 20 + numbers[i], 15).pixels);
  }
  CHECK(says(played.message, folder.file("f3.png")));
}

TEST_CASE("picture_folder: pictures turn as they are asked to") {
  const Folder folder;
  vision::save_image(folder.file("a.png"), drawn(1, 20, 15));
  for (const bool flip : {false, true}) {
    const auto source = VideoSource::open(folder.path.string(), {.rotate = 90, .flip = flip});
    CHECK(source->width() == 15);
    CHECK(source->height() == 20);
    VideoFrame frame;
    REQUIRE(source->read(frame) == Status::frame);
    for (int y = 0; y < 15; ++y)
      for (int x = 0; x < 20; ++x)
        REQUIRE(frame.image.at(flip ? y : 14 - y, x)[0] == drawn(1, 20, 15).at(x, y)[0]);
  }
  CHECK_THROWS_AS(VideoSource::open(folder.path.string(), {.rotate = 45}), std::invalid_argument);
}

TEST_CASE("picture_folder: a folder without a picture is named") {
  const Folder folder;
  CHECK(says(play(folder.path.string()).error, folder.path.string()));
  write_bytes(folder.file("a.jpg"), "no");
  CHECK(says(play(folder.path.string()).error, folder.file("a.jpg")));
}

TEST_CASE("picture_folder: an interrupted source ends") {
  const Folder folder;
  for (int i = 0; i < 3; ++i)
    vision::save_image(folder.file(std::to_string(i) + ".png"), drawn(i, 8, 8));
  const auto source = VideoSource::open(folder.path.string());
  VideoFrame frame;
  CHECK(source->read(frame) == Status::frame);
  source->interrupt();
  CHECK(source->read(frame) == Status::end);
}
