#include "vision/video/video_writer.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <stdexcept>

#include "tests/vision/video/video_support.h"

using namespace maskwatch;

using namespace video_support;
using vision::VideoWriter;
using vision::VideoWriterOptions;

namespace {

// Bytes that a file of this process may have while this lives.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

// Noise does not compress.
Image noisy(int number, int width, int height) {
  Image image(width, height);
  std::uint32_t state = 12345u + static_cast<std::uint32_t>(number);
  for (std::uint8_t& value : image.pixels) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<std::uint8_t>(state >> 24);
  }
  return image;
}

}  // namespace

TEST_CASE("video_writer: what is written is read again") {
  const Folder folder;
  for (const std::string name : {"a.mp4", "a.m4v", "a.mov", "a.mkv", "a.avi", "A.MP4"}) {
    CAPTURE(name);
    const std::string path = write_clip(folder.file(name), 40, 160, 120);
    const Played played = play(path);
    REQUIRE(played.error == "");
    CHECK(played.message == "");
    REQUIRE(played.frames.size() == 40);
    for (int i = 0; i < 40; ++i) {
      const VideoFrame& frame = played.frames[i];
      CHECK(frame.number == i);
      CHECK(std::abs(frame.time - i / 25.0) < 0.0011);  // .mkv counts in ms
      CHECK(mean_difference(frame.image, drawn(i, 160, 120)) < 3);
    }
  }
}

TEST_CASE("video_writer: H.264 where the libraries have it") {
  const Folder folder;
  const std::string mp4 = VideoWriter(folder.file("a.mp4"), 64, 48).codec();
  const std::string avi = VideoWriter(folder.file("a.avi"), 64, 48).codec();
  CHECK((mp4 == "libx264" || mp4 == "libopenh264" || mp4 == "mpeg4"));
  CHECK(avi == "mpeg4");
}

TEST_CASE("video_writer: times are kept") {
  const Folder folder;
  const double times[] = {7, 7.1, 7.11, 7.5, 7.5, 7.2, 9, 12.25};  // two of them do not rise
  const double wanted[] = {0, 0.1, 0.11, 0.5, 0.5, 0.5, 2, 5.25};
  {
    VideoWriter writer(folder.file("a.mp4"), 64, 48);
    for (int i = 0; i < 8; ++i) writer.write(drawn(i, 64, 48), times[i]);
  }
  const Played played = play(folder.file("a.mp4"));
  REQUIRE(played.frames.size() == 8);
  for (int i = 0; i < 8; ++i) CHECK(std::abs(played.frames[i].time - wanted[i]) < 3e-4);
  for (int i = 1; i < 8; ++i) CHECK(played.frames[i].time > played.frames[i - 1].time);
}

TEST_CASE("video_writer: an .avi keeps one picture for each of its steps") {
  const Folder folder;
  {
    VideoWriter writer(folder.file("a.avi"), 64, 48, {.fps = 10});
    for (int i = 0; i < 40; ++i) writer.write(drawn(i, 64, 48), i / 40.0);
  }
  const Played played = play(folder.file("a.avi"));
  CHECK(std::abs(static_cast<double>(played.frames.size()) - 10) <= 1);
}

TEST_CASE("video_writer: a gap that no container holds is left out") {
  const Folder folder;
  for (const std::string name : {"a.mp4", "a.mov", "a.mkv", "a.avi"}) {
    CAPTURE(name);
    VideoWriter writer(folder.file(name), 64, 48, {.fps = 25});
    for (int i = 0; i < 40; ++i)
      writer.write(drawn(i, 64, 48), i / 25. + (i < 10 ? 0 : 40'000) + (i < 20 ? 0 : 1e8));
    writer.close();
    const Played played = play(folder.file(name));
    CHECK(played.message == "");
    REQUIRE(played.frames.size() == 40);
    for (int i = 0; i < 40; ++i)
      CHECK(played.frames[static_cast<std::size_t>(i)].time ==
            doctest::Approx(i / 25.).epsilon(.01));
  }
}

TEST_CASE("video_writer: odd and tiny sizes lose a row or column at most") {
  const Folder folder;
  const int sizes[][2] = {{1, 1},   {2, 2},     {3, 5},  {33, 17},
                          {64, 49}, {161, 120}, {1, 90}, {200, 3}};
  for (const auto& size : sizes)
    for (const std::string name : {"a.mp4", "a.avi"}) {
      const int width = size[0], height = size[1];
      CAPTURE(width);
      CAPTURE(height);
      CAPTURE(name);
      write_clip(folder.file(name), 3, width, height);
      const Played played = play(folder.file(name));
      REQUIRE(played.frames.size() == 3);
      CHECK(played.frames[0].image.width == std::max(2, width & ~1));
      CHECK(played.frames[0].image.height == std::max(2, height & ~1));
    }
  const Image whole = drawn(0, 161, 121);
  write_clip(folder.file("b.mp4"), 1, 161, 121);
  const Played played = play(folder.file("b.mp4"));
  CHECK(mean_difference(played.frames.at(0).image, vision::crop(whole, {0, 0, 160, 120})) < 3);
}

TEST_CASE("video_writer: pictures of another size lie between black bars, grey ones are grey") {
  const Folder folder;
  {
    VideoWriter writer(folder.file("a.mp4"), 160, 120);
    Image tall(60, 120), wide(1600, 400), grey(160, 120, 1);
    std::fill(tall.pixels.begin(), tall.pixels.end(), 200);
    std::fill(wide.pixels.begin(), wide.pixels.end(), 200);
    std::fill(grey.pixels.begin(), grey.pixels.end(), 100);
    writer.write(tall, 0);
    writer.write(wide, 1);
    writer.write(grey, 2);
  }
  const Played played = play(folder.file("a.mp4"));
  REQUIRE(played.frames.size() == 3);
  const auto value = [&](int frame, int x, int y) {
    return static_cast<int>(played.frames[frame].image.at(x, y)[1]);
  };
  CHECK(std::abs(value(0, 80, 60) - 200) < 6);
  CHECK(value(0, 20, 60) < 12);
  CHECK(value(0, 140, 60) < 12);
  CHECK(std::abs(value(1, 5, 60) - 200) < 6);
  CHECK(value(1, 80, 10) < 12);
  CHECK(value(1, 80, 110) < 12);
  for (int c = 0; c < 3; ++c) CHECK(std::abs(played.frames[2].image.at(3, 3)[c] - 100) < 4);
}

TEST_CASE("video_writer: a file whose writer was killed plays up to its last fragment") {
  const Folder folder;
  for (const std::string name : {"a.mp4", "a.mkv", "a.avi"}) {
    CAPTURE(name);
    const std::string path = folder.file(name);
    const pid_t child = fork();
    if (child == 0) {
      VideoWriter writer(path, 160, 120, {.fragment = 0.4, .threads = 1});
      for (int i = 0; i < 100; ++i) writer.write(drawn(i, 160, 120), i / 25.0);
      std::raise(SIGKILL);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    const Played played = play(path);
    REQUIRE(played.error == "");
    CHECK(played.frames.size() >= 85);  // 100 but for one fragment of 10, and some rounding
    for (std::size_t i = 0; i < played.frames.size(); ++i) {
      CHECK(std::abs(played.frames[i].time - static_cast<double>(i) / 25) < 0.0011);
      CHECK(mean_difference(played.frames[i].image, drawn(static_cast<int>(i), 160, 120)) < 3);
    }
  }
}

TEST_CASE("video_writer: a full disk is told once, and the file plays to its last fragment") {
  const Folder folder;
  for (const std::string name : {"a.mp4", "a.mkv", "a.avi"})
    for (const int limit : {200'000, 203'001, 250'500}) {
      CAPTURE(name);
      CAPTURE(limit);
      const std::string path = folder.file(name);
      VideoWriter writer(path, 160, 120, {.fragment = 0.2});
      int errors = 0, failed_at = 0;
      {
        const FileLimit full(static_cast<rlim_t>(limit));
        for (int i = 0; i < 400; ++i) {
          const std::string error = error_of([&] { writer.write(noisy(i, 160, 120), i / 25.0); });
          if (error.empty()) continue;
          if (errors++ == 0) failed_at = i;
          CHECK(says(error, path));
          CHECK(says(error, "File too large"));
        }
        writer.close();
      }
      CHECK(errors == 1);
      CHECK(writer.failed());
      CHECK(failed_at > 5);
      const Played played = play(path);
      REQUIRE(played.error == "");
      CHECK(static_cast<int>(played.frames.size()) >= failed_at - 12);
      CHECK(static_cast<int>(played.frames.size()) <= failed_at + 1);
    }
}

TEST_CASE("video_writer: a disk that fills up at any byte is told, and nothing breaks") {
  const Folder folder;
  for (const std::string name : {"a.mp4", "a.mkv", "a.avi"})
    for (int limit = 0; limit < 40'000; limit += 1777) {
      CAPTURE(name);
      CAPTURE(limit);
      const std::string path = folder.file(name);
      std::filesystem::remove(path);
      int errors = 0;
      {
        const FileLimit full(static_cast<rlim_t>(limit));
        errors += !error_of([&] {
                     VideoWriter writer(path, 64, 48, {.fragment = 0.2});
                     for (int i = 0; i < 30; ++i) writer.write(noisy(i, 64, 48), i / 25.0);
                     writer.close();
                   }).empty();
      }
      CHECK(errors == 1);
      if (std::filesystem::exists(path)) CHECK(play(path).frames.size() < 30);
    }
}

TEST_CASE("video_writer: what cannot be written is named") {
  const Folder folder;
  for (const std::string& path : {folder.file("missing/a.mp4"), std::string("/proc/a.mp4")})
    CHECK(says(error_of([&] { VideoWriter(path, 64, 48); }), path));
  std::filesystem::create_directory(folder.file("folder.mp4"));
  CHECK(says(error_of([&] { VideoWriter(folder.file("folder.mp4"), 64, 48); }), "folder.mp4"));
  std::filesystem::create_symlink("/dev/full", folder.file("full.mp4"));
  CHECK_THROWS_WITH_AS(VideoWriter(folder.file("full.mp4"), 64, 48),
                       doctest::Contains("No space left"), std::runtime_error);
  CHECK(std::filesystem::exists("/dev/full"));
}

TEST_CASE("video_writer: wrong arguments") {
  const Folder folder;
  const std::string path = folder.file("a.mp4");
  for (const std::string name : {"a", "a.webm", "a.jpg", "mp4"})
    CHECK_THROWS_AS(VideoWriter(folder.file(name), 64, 48), std::invalid_argument);
  for (const int side : {0, -1, 16385, std::numeric_limits<int>::max()}) {
    CHECK_THROWS_AS(VideoWriter(path, side, 48), std::invalid_argument);
    CHECK_THROWS_AS(VideoWriter(path, 64, side), std::invalid_argument);
  }
  for (const double fps : {0.0, -1.0, 1001.0, std::nan("")})
    CHECK_THROWS_AS(VideoWriter(path, 64, 48, {.fps = fps}), std::invalid_argument);
  CHECK_THROWS_AS(VideoWriter(path, 64, 48, {.quality = 52}), std::invalid_argument);
  CHECK_THROWS_AS(VideoWriter(path, 64, 48, {.fragment = 0}), std::invalid_argument);
  CHECK(!std::filesystem::exists(path));
  VideoWriter writer(path, 64, 48);
  CHECK_THROWS_AS(writer.write(Image(), 0), std::invalid_argument);
  CHECK_THROWS_AS(writer.write(Image(64, 48), std::nan("")), std::invalid_argument);
  writer.write(Image(64, 48), 0);
  writer.close();
  writer.write(Image(64, 48), 1);  // after the end: nothing
  CHECK(play(path).frames.size() == 1);
}

TEST_CASE("video_writer: a file without a picture is a whole file") {
  const Folder folder;
  VideoWriter(folder.file("a.mp4"), 64, 48).close();
  CHECK(says(play(folder.file("a.mp4")).error, "no picture"));
}
