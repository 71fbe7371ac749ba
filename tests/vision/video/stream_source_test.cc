#include "vision/video/stream_source.h"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <thread>

#include "base/unavailable.h"
#include "tests/vision/video/hls_server.h"
#include "tests/vision/video/video_support.h"

using namespace maskwatch;

using namespace video_support;

TEST_CASE("stream_source: memory of a frame is used again") {
  const auto source = VideoSource::open("lavfi:testsrc=size=96x64:duration=1");
  VideoFrame frame;
  REQUIRE(source->read(frame) == Status::frame);
  const void* const memory = frame.image.pixels.data();
  while (source->read(frame) == Status::frame) CHECK(frame.image.pixels.data() == memory);
}

TEST_CASE("stream_source: a server that never answers is given up in time") {
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

TEST_CASE("stream_source: opening gives up when it is told to stop") {
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

TEST_CASE("stream_source: a read that blocks is interrupted from another thread") {
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

TEST_CASE("stream_source: a lost stream is connected again and its times go on") {
  Server server([](int connection, int number, const std::atomic<bool>& stop) {
    send_all(connection, jpegs(20 * number, 20, 64, 48));
    for (int i = 0; i < 20 && !stop; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  const auto source =
      VideoSource::open(server.address(), {.timeout = 2, .backoff_most = .25, .format = "mjpeg"});
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

TEST_CASE("stream_source: a server that was away is found within its back-off") {
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

TEST_CASE("stream_source: one that breaks off at once is left alone for longer and longer") {
  std::atomic<int> connections = 0;
  const Server server([&](int connection, int, const std::atomic<bool>&) {
    ++connections;
    send_all(connection, jpegs(0, 5, 64, 48));
  });
  const auto source = VideoSource::open(server.address(), {.backoff_first = .1, .format = "mjpeg"});
  VideoFrame frame;
  const double start = seconds_now();
  while (seconds_now() < start + 2) REQUIRE(source->read(frame) != Status::end);
  CHECK(connections >= 3);
  CHECK(connections <= 6);  // at 0, 0.1, 0.3, 0.7, 1.5 s
}

TEST_CASE("stream_source: what is away may be waited for from the start") {
  Server server([](int connection, int, const std::atomic<bool>& stop) {
    send_all(connection, jpegs(0, 20, 64, 48));
    wait_for(stop);
  });
  server.close_listener();
  const auto source =
      VideoSource::open(server.address(), {.wait = true, .backoff_most = .3, .format = "mjpeg"});
  CHECK(!source->met());
  CHECK(source->live());
  CHECK(source->width() == 0);
  VideoFrame frame;
  for (int i = 0; i < 3; ++i) REQUIRE(source->read(frame) == Status::reconnecting);
  CHECK(says(source->message(), server.address() + ": cannot be opened: Connection refused"));
  CHECK(says(source->message(), "connecting again in "));
  server.listen_again();
  const double start = seconds_now();
  Status status = Status::reconnecting;
  while (status == Status::reconnecting && seconds_now() < start + 5) status = source->read(frame);
  REQUIRE(status == Status::frame);
  CHECK(source->met());
  CHECK(source->width() == 64);
  CHECK(frame.number == 0);
  CHECK(frame.time == 0);
}

TEST_CASE("stream_source: what is away is told from what is wrong") {
  const auto answering = [](const std::string& status) {
    return [status](int connection, int, const std::atomic<bool>&) {
      char request[1000];
      recv(connection, request, sizeof(request), 0);
      send_all(connection, "HTTP/1.1 " + status + "\r\nContent-Length: 4\r\n\r\nnone");
    };
  };
  const Server broken(answering("503 Service Unavailable")), without(answering("404 Not Found")),
      other(answering("200 OK"));
  const Server silent([](int, int, const std::atomic<bool>& stop) { wait_for(stop); });
  Server gone([](int, int, const std::atomic<bool>&) {});
  gone.close_listener();
  const auto is_away = [](const std::string& source, bool wait) {
    try {
      return !VideoSource::open(source, {.timeout = .3, .wait = wait})->met();
    } catch (const Unavailable&) {
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  };
  for (const bool wait : {false, true}) {
    CAPTURE(wait);
    CHECK(is_away(broken.address("http"), wait));
    CHECK(is_away(silent.address("http"), wait));
    CHECK(is_away(gone.address("http"), wait));
    CHECK(is_away(gone.address("rtsp") + "/x", wait));
    CHECK(is_away("/dev/video999", wait));
    CHECK(!is_away(without.address("http"), wait));
    CHECK(!is_away(other.address("http"), wait));
    CHECK(!is_away("missing.mp4", wait));
    CHECK(!is_away("/dev/null", wait));
    CHECK(!is_away("lavfi:nosuch", wait));
  }
  CHECK_THROWS_AS(VideoSource::open("/dev/video999", {.reconnect = false, .wait = true}),
                  Unavailable);
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

TEST_CASE("stream_source: a server that hangs does not hold up the one that comes after it") {
  HangingServer server(1);
  CHECK(server.connect_again({.timeout = 20, .format = "mjpeg"}) < 3);
  CHECK(server.hung() == 1);
}

TEST_CASE("stream_source: nor does one that hangs for long") {
  // Just before an attempt, and just after it.
  for (const double seconds : {7.4, 7.9}) {
    CAPTURE(seconds);
    HangingServer server(seconds);
    CHECK(server.connect_again({.format = "mjpeg"}) < 3);
    CHECK(server.hung() >= 3);
    CHECK(server.hung() <= 8);
  }
}

TEST_CASE("stream_source: a server that became slow is waited for beside new attempts") {
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

TEST_CASE("stream_source: stopping does not wait for attempts that hang") {
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

TEST_CASE("stream_source: a live stream without timestamps has the times at which frames come") {
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

TEST_CASE("stream_source: without reconnection a lost stream ends and says why") {
  const Server server([](int connection, int, const std::atomic<bool>&) {
    send_all(connection, jpegs(0, 20, 64, 48));
  });
  const Played played =
      play(server.address(), {.timeout = 2, .reconnect = false, .format = "mjpeg"});
  CHECK(played.frames.size() >= 19);
  CHECK(says(played.message, server.address() + ": the stream ended"));
}

TEST_CASE("stream_source: a stream that only stalls is lost after its time-out") {
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

TEST_CASE(
    "stream_source: a live playlist comes in bursts, and is waited for when it says that it "
    "ended") {
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

TEST_CASE("stream_source: other live streams come a frame at a time") {
  const Server server([](int connection, int, const std::atomic<bool>& stop) {
    send_all(connection, jpegs(0, 20, 64, 48));
    wait_for(stop);
  });
  const auto source = VideoSource::open(server.address(), {.format = "mjpeg"});
  CHECK(source->live());
  CHECK(!source->bursts());
}

TEST_CASE("stream_source: timestamps at the ends of their range leave frames whose times rise") {
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
