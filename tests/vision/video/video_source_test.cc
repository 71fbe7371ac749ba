#include "vision/video/video_source.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/vision/image/small_pictures.h"
#include "tests/vision/video/video_support.h"

using namespace maskwatch;

using namespace video_support;

TEST_CASE("video_source: lavfi frames have the times, sizes and colours of the graph") {
  const auto source = VideoSource::open("lavfi:testsrc=size=96x64:rate=10:duration=2");
  CHECK(!source->live());
  CHECK(source->fps() == 10);
  CHECK(source->width() == 96);
  CHECK(source->height() == 64);
  VideoFrame frame;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(source->read(frame) == Status::frame);
    CHECK(frame.number == i);
    CHECK(frame.time == doctest::Approx(i / 10.0));
    CHECK(frame.image.width == 96);
    CHECK(frame.image.height == 64);
  }
  for (int i = 0; i < 3; ++i) CHECK(source->read(frame) == Status::end);
  CHECK(source->message() == "");

  const Played red = play("color=c=0x4080C0:s=33x7:d=0.2,format=rgb24", {.format = "lavfi"});
  REQUIRE(red.frames.size() == 5);
  for (const VideoFrame& flat : red.frames)
    for (std::size_t i = 0; i < flat.image.pixels.size(); ++i)
      REQUIRE(flat.image.pixels[i] == (i % 3 == 0 ? 0x40 : i % 3 == 1 ? 0x80 : 0xC0));
}

TEST_CASE("video_source: pixels are square, and pictures turn as they are asked to") {
  const std::string graph = "lavfi:testsrc=size=96x64:rate=10:duration=0.3,setsar=";
  const auto source = VideoSource::open(graph + "2/1", {.rotate = 90});
  CHECK(source->width() == 64);
  CHECK(source->height() == 192);
  CHECK(source->note() == "");
  VideoFrame frame;
  REQUIRE(source->read(frame) == Status::frame);
  CHECK(frame.image.width == 64);
  CHECK(frame.image.height == 192);

  const auto absurd = VideoSource::open(graph + "100/1");
  CHECK(absurd->width() == 96);
  CHECK(says(absurd->note(), "100:1"));
  CHECK(says(absurd->note(), graph));
  CHECK_THROWS_AS(VideoSource::open(graph + "1", {.rotate = 91}), std::invalid_argument);
}

TEST_CASE("video_source: a picture that tells its own orientation is upright") {
  const Folder folder;
  // Motion JPEG; 8 x 16 upright, red above blue.
  const std::vector<std::uint8_t> jpeg = small_pictures::bytes(small_pictures::jpeg_orientation_6);
  const std::string picture(jpeg.begin(), jpeg.end());
  write_bytes(folder.file("film.mjpeg"), picture + picture + picture);
  for (const int degrees : {0, 180}) {
    const Played played = play(folder.file("film.mjpeg"), {.rotate = degrees});
    REQUIRE(played.error == "");
    REQUIRE(played.frames.size() == 3);
    for (const VideoFrame& frame : played.frames) {
      REQUIRE(frame.image.width == 8);
      REQUIRE(frame.image.height == 16);
      const int red = degrees == 0 ? 0 : 15;
      CHECK(frame.image.at(4, red)[0] > 150);
      CHECK(frame.image.at(4, 15 - red)[2] > 150);
    }
  }
}

TEST_CASE("video_source: what is not there is named, and how it is wrong") {
  const Folder folder;
  const std::string missing = folder.file("missing.mp4");
  CHECK(says(play(missing).error, missing + ": there is no such file"));
  CHECK(says(play("").error, "no such file"));
  CHECK(says(play("No Camera Of This Name").error, "no such file, folder or camera"));
  CHECK(says(play("999").error, "camera 999: there is no such camera"));
  CHECK(says(play("/dev/video999").error, "/dev/video999: there is no such camera"));
  CHECK(says(play("/dev/null").error, "/dev/null: "));
  CHECK(says(play("lavfi:nosuchfilter").error, "nosuchfilter"));
  CHECK(says(play("lavfi:sine=d=1").error, "no video"));
  CHECK(says(play(missing, {.format = "nosuchformat"}).error, "missing"));
  CHECK(says(play("nosuchscheme://a/b").error, "nosuchscheme://a/b: cannot be opened"));
  write_bytes(folder.file("a.mp4"), "");
  CHECK(says(play(folder.file("a.mp4")).error, folder.file("a.mp4") + ": truncated"));
  write_bytes(folder.file("a.txt"), std::string(5000, 'x'));
  CHECK(says(play(folder.file("a.txt")).error, folder.file("a.txt") + ": "));
  CHECK(says(play(folder.file("a.txt"), {.format = "nosuchformat"}).error, "nosuchformat"));
}

TEST_CASE("video_source: a closed port is refused, and passwords are shown to nobody") {
  std::string address;
  {
    const Server closed([](int, int, const std::atomic<bool>&) {});
    address = closed.address("rtsp").substr(7);
  }
  const std::string error = play("rtsp://me:secret@" + address + "/x").error;
  CHECK(says(error, "rtsp://me:***@" + address + "/x: "));
  CHECK(says(error, "refused"));
  CHECK(!says(error, "secret"));
  for (const std::string password : {"sec/ret", "s@c/ret", "sec ret", "12/ret", "sec?ret#"}) {
    CAPTURE(password);
    const std::string shown = play("rtsp://bob:" + password + "@" + address + "/x").error;
    CHECK_MESSAGE(shown.starts_with("rtsp://bob:***@" + address + "/x: "), shown);
    CHECK_MESSAGE(!says(shown, "ret"), shown);
  }
  CHECK(!says(play("no-scheme://bob:secret@host/").error, "secret"));
  CHECK(!says(play("lavfi:movie=http\\\\://bob\\\\:secret@127.0.0.1\\\\:1/x").error, "secret"));
}

TEST_CASE("video_source: nor are those in a playlist, whose addresses FFmpeg's log tells") {
  for (const std::string login : {"bob:secret", "bob:hush/secret"}) {
    const std::string playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://" + login +
                                 "@127.0.0.1:1/missing.ts\n#EXT-X-ENDLIST\n";
    const Server server([&](int connection, int, const std::atomic<bool>&) {
      send_all(connection,
               "HTTP/1.0 200 OK\r\nContent-Type: application/x-mpegurl\r\n\r\n" + playlist);
      shutdown(connection, SHUT_WR);
      char bytes[4096];
      while (recv(connection, bytes, sizeof(bytes), 0) > 0) {
      }
    });
    const std::string error = play(server.address("http") + "/a.m3u8", {.timeout = 2}).error;
    CHECK_MESSAGE(says(error, "http://bob:***@127.0.0.1:1/missing.ts"), error);
    CHECK_MESSAGE(!says(error, "secret"), error);
  }
}

TEST_CASE("video_source: a file is never live, and ends at its end") {
  const Folder folder;
  const std::string clip = write_clip(folder.file("a.mkv"), 25, 64, 48);
  const auto source = VideoSource::open(clip, {.live = true});
  CHECK(!source->live());
  VideoFrame frame;
  for (int i = 0; i < 25; ++i) REQUIRE(source->read(frame) == Status::frame);
  CHECK(source->read(frame) == Status::end);
  CHECK(source->message() == "");
}

TEST_CASE("video_source: an address of a file is the file") {
  CHECK(vision::without_file_scheme("file:///tmp/a%20b%25%zz%4") == "/tmp/a b%%zz%4");
  CHECK(vision::without_file_scheme("file://localhost/a") == "/a");
  CHECK(vision::without_file_scheme("file://elsewhere/a") == "file://elsewhere/a");
  CHECK(vision::without_file_scheme("http://x/%20") == "http://x/%20");
  const Folder folder;
  const auto source = VideoSource::open("file://" + write_clip(folder.file("a.mkv"), 5, 64, 48));
  CHECK(!source->live());
}
