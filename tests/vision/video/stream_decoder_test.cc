#include "vision/video/stream_decoder.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "tests/shared_data.h"
#include "tests/vision/video/video_support.h"

using namespace maskwatch;

using namespace video_support;

namespace {

// A clip that was cut begins with the frames of the whole one, at their times. The last few may
// lack the picture that they are predicted from.
void check_prefix(const Played& cut, const Played& whole) {
  constexpr std::size_t predicted = 4;
  REQUIRE(cut.frames.size() <= whole.frames.size());
  for (std::size_t i = 0; i + predicted < cut.frames.size(); ++i) {
    CHECK(cut.frames[i].time == doctest::Approx(whole.frames[i].time));
    CHECK(cut.frames[i].image.pixels == whole.frames[i].image.pixels);
  }
  check_rising(cut.frames);
}

}  // namespace

TEST_CASE("stream_decoder: published clips") {
  struct Clip {
    const char* name;
    std::size_t frames;
    int width, height;
  };
  // ffprobe -count_frames -show_entries stream=nb_read_frames,width,height
  for (const Clip clip :
       {Clip{"masked_one_person.mp4", 244, 720, 404}, Clip{"masked_portrait_a.mp4", 583, 338, 640},
        Clip{"unmasked_one_person.mp4", 206, 1280, 720}}) {
    REQUIRE_SHARED_DATA(path, std::string("video/") + clip.name);
    const auto source = VideoSource::open(path);
    VideoFrame frame;
    std::size_t count = 0;
    for (; source->read(frame) == Status::frame; ++count) {
      REQUIRE(frame.image.width == clip.width);
      REQUIRE(frame.image.height == clip.height);
      REQUIRE(frame.time == doctest::Approx(static_cast<double>(count) / 25));
    }
    CHECK(count == clip.frames);
    CHECK(source->message() == "");
  }
}

TEST_CASE("stream_decoder: noise is refused by name") {
  const Folder folder;
  std::mt19937 random(7);
  const std::string path = folder.file("noise.mp4");
  for (int i = 0; i < 30; ++i) {
    std::string bytes(static_cast<std::size_t>(1 + random() % 20000), 0);
    for (char& byte : bytes) byte = static_cast<char>(random());
    write_bytes(path, bytes);
    const Played played = play(path);
    CHECK((says(played.error, path) || !played.frames.empty()));
  }
}

TEST_CASE("stream_decoder: a codec that nobody knows is named") {
  const Folder folder;
  std::string bytes = read_bytes(write_clip(folder.file("a.mp4"), 10, 64, 48));
  int changed = 0;
  for (const char* tag : {"avc1", "mp4v"})
    for (std::size_t at = 0; (at = bytes.find(tag, at)) != std::string::npos; ++changed)
      bytes.replace(at, 4, "zq9x");
  REQUIRE(changed > 0);
  write_bytes(folder.file("a.mp4"), bytes);
  const std::string error = play(folder.file("a.mp4")).error;
  CHECK(says(error, folder.file("a.mp4") + ": its codec is unknown"));
  CHECK(says(error, "zq9x"));
}

TEST_CASE("stream_decoder: a clip cut at any offset plays what is there and says so") {
  const Folder folder;
  for (const std::string name : {"a.mp4", "a.mkv", "a.avi"}) {
    CAPTURE(name);
    const std::string path = write_clip(folder.file(name), 50, 64, 48, {.fragment = 0.4});
    const std::string bytes = read_bytes(path);
    const Played whole = play(path);
    REQUIRE(whole.frames.size() == 50);
    const std::string cut = folder.file(std::string("cut") + name);
    std::size_t played_before = 0;
    for (std::size_t part = 0; part < 40; ++part) {
      const std::size_t size = bytes.size() * part / 40;
      CAPTURE(size);
      write_bytes(cut, bytes.substr(0, size));
      const Played played = play(cut);
      CAPTURE(played.error);
      if (played.frames.empty()) CHECK(says(played.error, cut + ": "));
      check_prefix(played, whole);
      CHECK(played.frames.size() >= played_before);
      played_before = played.frames.size();
    }
    CHECK(played_before >= 35);
  }
}

TEST_CASE("stream_decoder: a truncated file whose index promises more says how much is there") {
  REQUIRE_SHARED_DATA(path, "video/masked_one_person.mp4");
  const Folder folder;
  const std::string bytes = read_bytes(path), cut = folder.file("cut.mp4");
  const Played whole = play(path);
  for (const double part : {0.3, 0.6, 0.9}) {
    write_bytes(
        cut, bytes.substr(0, static_cast<std::size_t>(part * static_cast<double>(bytes.size()))));
    const Played played = play(cut);
    if (!played.error.empty()) {  // the index lies behind the pictures
      CHECK(says(played.error, cut + ": truncated"));
      continue;
    }
    CHECK(says(played.message, cut + ": truncated"));
    CHECK(played.frames.size() > part * 100);
    CHECK(played.frames.size() < whole.frames.size());
    check_prefix(played, whole);
  }
}

TEST_CASE("stream_decoder: so does a Matroska file, whose header alone knows the duration") {
  const Folder folder;
  const std::string whole = folder.file("whole.mkv"), cut = folder.file("cut.mkv");
  const std::string film = write_clip(whole, 100, 64, 48);
  const std::string sound = "-f lavfi -i sine=d=9 -i " + whole + " -c:v copy ";
  const std::string both = folder.file("both.mkv");
  std::vector<std::string> paths{whole};
  if (std::system(("ffmpeg -v error -y " + sound + both).c_str()) == 0) paths.push_back(both);
  for (const std::string& path : paths) {
    CAPTURE(path);
    CHECK(play(path).message == "");  // a sound that is longer is no reason
    const std::string bytes = read_bytes(path);
    write_bytes(cut, bytes.substr(0, bytes.size() / 3));
    const Played played = play(cut);
    CHECK(says(played.message, cut + ": truncated: it ends after "));
    CHECK(says(played.message, " of 4.00 s"));
    CHECK(played.frames.size() > 20);
    write_bytes(cut, bytes.substr(0, bytes.size() - 300));  // hardly a picture less
    CHECK(says(play(cut).message, cut + ": truncated"));
  }
}

TEST_CASE("stream_decoder: damaged bytes never break more than the picture") {
  const Folder folder;
  std::mt19937 random(11);
  for (const std::string name : {"a.mp4", "a.mkv", "a.avi"}) {
    const std::string bytes = read_bytes(write_clip(folder.file(name), 25, 64, 48));
    const std::string path = folder.file(std::string("bad") + name);
    for (int i = 0; i < 40; ++i) {
      std::string damaged = bytes;
      for (int k = 0; k < 1 + i / 4; ++k)
        damaged[random() % damaged.size()] = static_cast<char>(random());
      write_bytes(path, damaged);
      const Played played = play(path);
      CHECK((says(played.error, path) || !played.frames.empty()));
      check_rising(played.frames);
    }
  }
}

TEST_CASE("stream_decoder: the size may change in mid-stream") {
  const Folder folder;
  const std::string path = folder.file("a.mjpeg");
  write_bytes(path, jpegs(0, 3, 64, 48) + jpegs(3, 3, 33, 91) + jpegs(6, 3, 128, 16));
  const Played played = play(path);
  REQUIRE(played.error == "");
  REQUIRE(played.frames.size() == 9);
  check_rising(played.frames);
  const int sizes[3][2] = {{64, 48}, {33, 91}, {128, 16}};
  for (int i = 0; i < 9; ++i) {
    const auto& [width, height] = sizes[i / 3];
    REQUIRE(played.frames[i].image.width == width);
    REQUIRE(played.frames[i].image.height == height);
    CHECK(mean_difference(played.frames[i].image, drawn(i, width, height)) < 4);
  }
}

TEST_CASE("stream_decoder: absurd sizes are refused before memory is taken") {
  const Folder folder;
  const std::string path = folder.file("a.y4m");
  for (const char* size : {"W100000 H100000", "W2147483647 H2147483647", "W1 H2000000000",
                           "W20000 H20000", "W0 H0", "W-5 H5"}) {
    CAPTURE(size);
    write_bytes(path, "YUV4MPEG2 " + std::string(size) + " F25:1 Ip A1:1 C420\nFRAME\n" +
                          std::string(1000, 'a'));
    const Played played = play(path);
    CHECK(says(played.error, path));
    CHECK(played.frames.empty());
  }
  std::string jpeg = jpegs(0, 1, 64, 48);
  const std::size_t header = jpeg.find("\xff\xc0");
  REQUIRE(header != std::string::npos);
  for (std::size_t i = 5; i < 9; ++i) jpeg[header + i] = static_cast<char>(0xfa);  // 64250 x 64250
  write_bytes(folder.file("a.mjpeg"), jpeg + jpeg);
  CHECK(says(play(folder.file("a.mjpeg")).error, folder.file("a.mjpeg")));
}
