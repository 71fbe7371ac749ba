#include "vision/video/video_source.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cmath>
#include <random>
#include <stdexcept>
#include <thread>

#include "tests/shared_data.h"
#include "tests/vision/video/hls_server.h"
#include "tests/vision/video/video_support.h"
#include "vision/video/stream_address.h"

using namespace maskwatch;

using namespace video_support;

namespace {

void check_rising(const std::vector<VideoFrame>& frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CHECK(frames[i].number == static_cast<std::int64_t>(i));
    if (i > 0) CHECK(frames[i].time > frames[i - 1].time);
  }
}

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

TEST_CASE("video_source: memory of a frame is used again") {
  const auto source = VideoSource::open("lavfi:testsrc=size=96x64:duration=1");
  VideoFrame frame;
  REQUIRE(source->read(frame) == Status::frame);
  const void* const memory = frame.image.pixels.data();
  while (source->read(frame) == Status::frame) CHECK(frame.image.pixels.data() == memory);
}

TEST_CASE("video_source: published clips") {
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

TEST_CASE("video_source: noise is refused by name") {
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

TEST_CASE("video_source: a codec that nobody knows is named") {
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

TEST_CASE("video_source: a clip cut at any offset plays what is there and says so") {
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

TEST_CASE("video_source: a truncated file whose index promises more says how much is there") {
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

TEST_CASE("video_source: so does a Matroska file, whose header alone knows the duration") {
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

TEST_CASE("video_source: damaged bytes never break more than the picture") {
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

TEST_CASE("video_source: the size may change in mid-stream") {
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

TEST_CASE("video_source: absurd sizes are refused before memory is taken") {
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

TEST_CASE("video_source: a server that never answers is given up in time") {
  const Server silent([](int, int, const std::atomic<bool>& stop) { wait_for(stop); });
  for (const std::string scheme : {"http", "rtsp", "tcp", "rtmp"}) {
    CAPTURE(scheme);
    const std::string address = silent.address(scheme) + "/x";
    const double start = seconds_now();
    const std::string error = play(address, {.timeout = 0.3}).error;
    CHECK_MESSAGE(says(error, address + ": no data for 0.3 s"), error);
    CHECK(seconds_now() - start < 1.5);
  }
  const double start = seconds_now();
  CHECK(says(play("udp://127.0.0.1:41234", {.timeout = 0.3}).error, "no data for 0.3 s"));
  CHECK(seconds_now() - start < 1.5);
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

TEST_CASE("video_source: what hides passwords leaves other texts as they are") {
  for (const char* text : {"", "://", "a: b@c", "http://host/a@b", "http://host:80/a b@c",
                           "x:y@z://", "rtsp://me@host/", "http://host:80/x: refused (me@here)"})
    CHECK(vision::hide_passwords(text) == text);
  CHECK(vision::hide_passwords("'http://a:b@c' and rtsp://:d@e:5/f, udp://g:h@") ==
        "'http://a:***@c' and rtsp://:***@e:5/f, udp://g:***@");
}

TEST_CASE("video_source: opening gives up when it is told to stop") {
  const Server silent([](int, int, const std::atomic<bool>& stop) { wait_for(stop); });
  std::atomic<bool> stop = false;
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stop = true;
  });
  const double start = seconds_now();
  CHECK(says(play(silent.address("http"), {.timeout = 30, .stop = &stop}).error, "stopped"));
  CHECK(seconds_now() - start < 1);
  stopper.join();
}

TEST_CASE("video_source: a read that blocks is interrupted from another thread") {
  const Server stalls([](int connection, int, const std::atomic<bool>& stop) {
    send_all(connection, jpegs(0, 10, 64, 48));
    wait_for(stop);
  });
  const auto source = VideoSource::open(stalls.address(), {.timeout = 30, .format = "mjpeg"});
  CHECK(source->live());
  double interrupted_at = 0;
  std::thread interrupter([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    interrupted_at = seconds_now();
    source->interrupt();
  });
  VideoFrame frame;
  int frames = 0;
  while (source->read(frame) == Status::frame) ++frames;
  const double ended_at = seconds_now();
  interrupter.join();
  CHECK(frames >= 9);
  CHECK(ended_at - interrupted_at < 1);
  CHECK(source->read(frame) == Status::end);
}

TEST_CASE("video_source: a lost stream is connected again and its times go on") {
  Server server([](int connection, int number, const std::atomic<bool>& stop) {
    send_all(connection, jpegs(20 * number, 20, 64, 48));
    for (int i = 0; i < 20 && !stop; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  const auto source = VideoSource::open(server.address(), {.timeout = 2, .format = "mjpeg"});
  VideoFrame frame;
  int lost = 0;
  double last = -1, lost_at = 0, longest = 0;
  std::int64_t number = 0;
  while (lost < 4 || number < 80) {
    const Status status = source->read(frame);
    REQUIRE(status != Status::end);
    if (status == Status::reconnecting) {
      ++lost;
      lost_at = seconds_now();
      CHECK(says(source->message(), server.address() + ": lost: "));
      continue;
    }
    if (lost_at > 0) longest = std::max(longest, seconds_now() - lost_at);
    lost_at = 0;
    CHECK(source->message() == "");
    CHECK(frame.number == number++);
    CHECK(frame.time > last);
    last = frame.time;
  }
  CHECK(longest < 1);
}

TEST_CASE("video_source: a server that was away is found within its back-off") {
  Server server([](int connection, int number, const std::atomic<bool>& stop) {
    send_all(connection, jpegs(20 * number, 20, 64, 48));
    wait_for(stop);
  });
  const double start = seconds_now();
  const auto source = VideoSource::open(
      server.address(),
      {.timeout = 0.5, .backoff_first = 0.1, .backoff_most = 0.4, .format = "mjpeg"});
  VideoFrame frame;
  for (int i = 0; i < 10; ++i) REQUIRE(source->read(frame) == Status::frame);
  server.close_listener();
  const double away = seconds_now();
  Status status = Status::frame;
  int attempts = 0;
  while (seconds_now() < away + 1.2) {
    status = source->read(frame);
    attempts += status == Status::reconnecting;
  }
  REQUIRE(status == Status::reconnecting);
  CHECK(attempts >= 3);
  CHECK(attempts <= 7);  // at 0, 0.1, 0.3, 0.7 and 1.1 s
  CHECK(says(source->message(), "refused"));
  CHECK(says(source->message(), "connecting again in "));
  server.listen_again();
  const double back = seconds_now();
  while ((status = source->read(frame)) == Status::reconnecting) {
  }
  REQUIRE(status == Status::frame);
  CHECK(seconds_now() - back < 1);
  CHECK(std::abs(frame.time - (seconds_now() - start)) < 0.3);
}

namespace {

constexpr double kGivenUp = 20;  // s

// Sends a stream that ends, then hangs for so many seconds: what connects meanwhile is held and
// never answered. Then it sends for as long as it is asked.
class HangingServer {
 public:
  explicit HangingServer(double seconds) : seconds_(seconds) {}
  std::string address() const { return server_.address(); }
  double back() const { return lost_at_ + seconds_; }
  int hung() const { return hung_; }

  // s from its return to a picture of it.
  double connect_again(const VideoSourceOptions& options) {
    const auto source = VideoSource::open(address(), options);
    VideoFrame frame;
    Status status = source->read(frame);
    while (status == Status::frame) status = source->read(frame);
    lost_at_ = seconds_now();
    while (status == Status::reconnecting && seconds_now() < back() + kGivenUp)
      status = source->read(frame);
    REQUIRE(status == Status::frame);
    const double took = seconds_now() - back();
    for (int i = 0; i < 15; ++i) REQUIRE(source->read(frame) == Status::frame);
    return took;
  }

 private:
  const double seconds_;
  std::atomic<double> lost_at_ = 1e300;
  struct Held {
    std::vector<int> connections;
    ~Held() {
      for (const int connection : connections) close(connection);
    }
  } held_;  // of the server's thread, which has ended when this goes
  std::atomic<int> hung_ = 0;
  Server server_{[this](int connection, int number, const std::atomic<bool>& stop) {
    if (number > 0 && seconds_now() < back()) {
      held_.connections.push_back(dup(connection));
      ++hung_;
      return;
    }
    send_all(connection, jpegs(20 * number, 20, 64, 48));
    if (number > 0) wait_for(stop);
  }};
};

}  // namespace

TEST_CASE("video_source: a server that hangs does not hold up the one that comes after it") {
  HangingServer server(1);
  CHECK(server.connect_again({.timeout = 20, .format = "mjpeg"}) < 3);
  CHECK(server.hung() == 1);
}

TEST_CASE("video_source: nor does one that hangs for long") {
  // Just before an attempt, and just after it.
  for (const double seconds : {7.4, 7.9}) {
    CAPTURE(seconds);
    HangingServer server(seconds);
    CHECK(server.connect_again({.format = "mjpeg"}) < 3);
    CHECK(server.hung() >= 3);
    CHECK(server.hung() <= 8);
  }
}

TEST_CASE("video_source: a server that became slow is waited for beside new attempts") {
  std::atomic<int> answered = 0;
  const Server slow([&](int connection, int number, const std::atomic<bool>& stop) {
    const double ready = seconds_now() + 2.5;
    while (number > 0 && !stop && seconds_now() < ready) {
      char byte;
      if (recv(connection, &byte, 1, MSG_DONTWAIT) == 0) return;  // nobody waits any more
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ++answered;
    send_all(connection, jpegs(20 * number, 20, 64, 48));
    if (number > 0) wait_for(stop);
  });
  const auto source = VideoSource::open(slow.address(), {.format = "mjpeg"});
  VideoFrame frame;
  Status status = source->read(frame);
  while (status == Status::frame) status = source->read(frame);
  const double lost_at = seconds_now();
  while (status == Status::reconnecting && seconds_now() < lost_at + kGivenUp)
    status = source->read(frame);
  REQUIRE(status == Status::frame);
  CHECK(seconds_now() - lost_at < 4);
  CHECK(answered == 2);
  for (int i = 0; i < 15; ++i) REQUIRE(source->read(frame) == Status::frame);
}

TEST_CASE("video_source: stopping does not wait for attempts that hang") {
  HangingServer server(1e9);
  const auto source = VideoSource::open(server.address(), {.timeout = 60, .format = "mjpeg"});
  VideoFrame frame;
  Status status = source->read(frame);
  while (status == Status::frame) status = source->read(frame);
  const double lost_at = seconds_now();
  while (status == Status::reconnecting && seconds_now() < lost_at + 2.5)
    status = source->read(frame);
  REQUIRE(status == Status::reconnecting);
  double interrupted_at = 0;
  std::thread interrupter([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    interrupted_at = seconds_now();
    source->interrupt();
  });
  while (status == Status::reconnecting) status = source->read(frame);
  interrupter.join();
  CHECK(status == Status::end);
  CHECK(seconds_now() - interrupted_at < 1);
}

TEST_CASE("video_source: a live stream without timestamps has the times at which frames come") {
  const Server slow([](int connection, int, const std::atomic<bool>& stop) {
    send_all(connection, jpegs(0, 5, 64, 48));
    for (int i = 5; i < 30 && !stop; ++i) {
      send_all(connection, jpegs(i, 1, 64, 48));
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
  const auto source = VideoSource::open(slow.address(), {.format = "mjpeg"});
  VideoFrame frame;
  REQUIRE(source->read(frame) == Status::frame);
  const double start = seconds_now();
  for (int i = 1; i < 15; ++i) {
    REQUIRE(source->read(frame) == Status::frame);
    CHECK(std::abs(frame.time - (seconds_now() - start)) < 0.05);
  }
  CHECK(frame.time > 0.6);  // not 14 / 25
}

TEST_CASE("video_source: without reconnection a lost stream ends and says why") {
  const Server server([](int connection, int, const std::atomic<bool>&) {
    send_all(connection, jpegs(0, 20, 64, 48));
  });
  const Played played =
      play(server.address(), {.timeout = 2, .reconnect = false, .format = "mjpeg"});
  CHECK(played.frames.size() >= 19);
  CHECK(says(played.message, server.address() + ": the stream ended"));
}

TEST_CASE("video_source: a stream that only stalls is lost after its time-out") {
  const Server stalls([](int connection, int, const std::atomic<bool>& stop) {
    send_all(connection, jpegs(0, 20, 64, 48));
    wait_for(stop);
  });
  const double start = seconds_now();
  const Played played =
      play(stalls.address(), {.timeout = 0.4, .reconnect = false, .format = "mjpeg"});
  CHECK(says(played.message, "no data for 0.4 s"));
  CHECK(seconds_now() - start < 2);
}

TEST_CASE("video_source: a named pipe plays to its end, and its end is the end") {
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

TEST_CASE("video_source: a pipe without a writer, or whose writer stalls, is given up") {
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

TEST_CASE("video_source: what a pipeline's program has written before it ended is played") {
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

TEST_CASE(
    "video_source: a live playlist comes in bursts, and is waited for when it says that it ended") {
  const Folder folder;
  const HlsServer server(folder, {.frames = 60, .segment = 0.5, .ends = true});
  const auto source = VideoSource::open(server.address());
  CHECK(source->live());
  CHECK(source->bursts());
  VideoFrame frame;
  int frames = 0;
  const auto ended = [&] { return says(source->message(), "the playlist says that it has ended"); };
  for (double start = seconds_now(); !ended() && seconds_now() < start + 20;)
    frames += source->read(frame) == Status::frame;
  CHECK(ended());
  for (int i = 0; i < 2; ++i) CHECK(source->read(frame) == Status::reconnecting);
  CHECK(frames >= 58);
  CHECK(frames <= 60);
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

TEST_CASE("video_source: other live streams come a frame at a time") {
  const Server server([](int connection, int, const std::atomic<bool>& stop) {
    send_all(connection, jpegs(0, 20, 64, 48));
    wait_for(stop);
  });
  const auto source = VideoSource::open(server.address(), {.format = "mjpeg"});
  CHECK(source->live());
  CHECK(!source->bursts());
}

TEST_CASE("video_source: timestamps at the ends of their range leave frames whose times rise") {
  for (const std::string stamp : {"9223372036854774784", "-9223372036854774784",
                                  "if(lt(N\\,5)\\,N\\,9223372036854774784)", "N*1e17"}) {
    CAPTURE(stamp);
    const Played played = play("lavfi:testsrc=s=32x32:d=1,setpts='" + stamp + "'");
    CHECK(played.error == "");
    CHECK(played.frames.size() == 25);
    check_rising(played.frames);
    CHECK(played.frames.back().time < 1e9 + 1);
  }
}
