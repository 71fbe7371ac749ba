// What the tests of video share: drawn pictures, files that go away, servers on loopback.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/vision/support.h"
#include "vision/image/codec.h"
#include "vision/video/video_source.h"
#include "vision/video/video_writer.h"

namespace maskwatch::video_support {

using vision::Image;
using vision::VideoFrame;
using vision::VideoSource;
using vision::VideoSourceOptions;
using vision_test::error_of;
using vision_test::Folder;
using vision_test::says;
using Status = VideoSource::Status;

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// A smooth picture whose colours tell its number.
inline Image drawn(int number, int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      std::uint8_t* pixel = image.at(x, y);
      pixel[0] = static_cast<std::uint8_t>(40 + 160 * x / width);
      pixel[1] = static_cast<std::uint8_t>(40 + 160 * y / height);
      pixel[2] = static_cast<std::uint8_t>(50 + number * 7 % 150);
    }
  return image;
}

inline double mean_difference(const Image& a, const Image& b) {
  REQUIRE(a.pixels.size() == b.pixels.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

inline std::string write_clip(const std::string& path, int frames, int width, int height,
                              vision::VideoWriterOptions options = {}) {
  vision::VideoWriter writer(path, width, height, options);
  for (int i = 0; i < frames; ++i) writer.write(drawn(i, width, height), i / options.fps);
  writer.close();
  return path;
}

struct Played {
  std::vector<VideoFrame> frames;
  std::string message;
  std::string error;  // of open or read
};

inline Played play(const std::string& path, const VideoSourceOptions& options = {}) {
  Played result;
  result.error = error_of([&] {
    const auto source = VideoSource::open(path, options);
    VideoFrame frame;
    while (source->read(frame) == Status::frame) result.frames.push_back(frame);
    result.message = source->message();
  });
  return result;
}

// Numbers count from 0, and times rise.
inline void check_rising(const std::vector<VideoFrame>& frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CHECK(frames[i].number == static_cast<std::int64_t>(i));
    if (i > 0) CHECK(frames[i].time > frames[i - 1].time);
  }
}

inline std::string jpegs(int first, int count, int width, int height) {
  std::string stream;
  for (int i = 0; i < count; ++i)
    stream += vision::codec::encode_jpeg(drawn(first + i, width, height), 92);
  return stream;
}

// Listens on a port of loopback and serves each connection, one after the other, by `serve`.
class Server {
 public:
  using Serve = std::function<void(int connection, int number, const std::atomic<bool>& stop)>;
  explicit Server(Serve serve) : serve_(std::move(serve)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listen_again();
  }
  ~Server() {
    stop_ = true;
    close_listener();
  }
  std::string address(const std::string& scheme = "tcp") const {
    return scheme + "://127.0.0.1:" + std::to_string(ntohs(address_.sin_port));
  }
  // No further connection is taken; who is connected stays so until `serve` returns.
  void close_listener() {
    stop_ = true;
    shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    close(listener_);
    listener_ = -1;
  }
  void listen_again() {
    stop_ = false;
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address_), sizeof(address_)) == 0);
    REQUIRE(listen(listener_, 8) == 0);
    socklen_t size = sizeof(address_);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size);
    thread_ = std::thread([this, listener = listener_] {
      for (int connection; (connection = accept(listener, nullptr, nullptr)) >= 0;) {
        serve_(connection, connections_++, stop_);
        close(connection);
      }
    });
  }

 private:
  Serve serve_;
  sockaddr_in address_{};
  int listener_ = -1, connections_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

inline void send_all(int connection, const std::string& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t sent = send(connection, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) return;
    done += static_cast<std::size_t>(sent);
  }
}

inline void wait_for(const std::atomic<bool>& stop) {
  while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

}  // namespace maskwatch::video_support
