// A live HLS playlist on loopback: a clip in segments that are published one after the other, each
// once it is over, as encoders do.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/vision/video/video_support.h"

namespace maskwatch::video_support {

struct HlsOptions {
  int frames = 150;
  double fps = 30, segment = 1;  // s
  int width = 160, height = 120;
  std::size_t first = 3, window = 5;  // segments in the first playlist, and at most
  bool ends = false;                  // the playlist says so once everything is published
};

class HlsServer {
 public:
  HlsServer(const Folder& folder, const HlsOptions& options = {}) : options_(options) {
    // A key frame begins every other fragment.
    const std::string clip =
        write_clip(folder.file("hls.mp4"), options.frames, options.width, options.height,
                   {.fps = options.fps, .fragment = options.segment / 2});
    split(read_bytes(clip));
    REQUIRE(static_cast<double>(segments_.size()) >=
            options.frames / options.fps / options.segment - 1);
  }
  std::string address() const { return server_.address("http") + "/live.m3u8"; }

 private:
  void split(const std::string& bytes) {
    int fragments = 0;
    for (std::size_t at = 0; at + 8 <= bytes.size();) {
      std::size_t size = 0;
      for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
      REQUIRE(size >= 8);
      const std::string kind = bytes.substr(at + 4, 4), box = bytes.substr(at, size);
      if (kind == "moof" && fragments++ % 2 == 0) segments_.emplace_back();
      if (kind == "ftyp" || kind == "moov") head_ += box;
      if (kind == "moof" || kind == "mdat") segments_.back() += box;
      at += size;
    }
  }

  std::string playlist() {
    const double time = seconds_now() - begun_;
    const std::size_t published = std::min(
        segments_.size(), options_.first + static_cast<std::size_t>(time / options_.segment));
    const std::size_t oldest = published - std::min(published, options_.window);
    std::string text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:" +
                       std::to_string(static_cast<int>(std::ceil(options_.segment))) +
                       "\n#EXT-X-MEDIA-SEQUENCE:" + std::to_string(oldest) +
                       "\n#EXT-X-MAP:URI=\"head.mp4\"\n";
    for (std::size_t i = oldest; i < published; ++i)
      text += "#EXTINF:" + std::to_string(options_.segment) + ",\n" + std::to_string(i) + ".mp4\n";
    return text + (options_.ends && published == segments_.size() ? "#EXT-X-ENDLIST\n" : "");
  }

  std::string answer(const std::string& path) {
    if (path == "/live.m3u8") {
      if (begun_ == 0) begun_ = seconds_now();
      return playlist();
    }
    if (path == "/head.mp4") return head_;
    const std::size_t number = static_cast<std::size_t>(std::atoi(path.c_str() + 1));
    return number < segments_.size() ? segments_[number] : "";
  }

  void serve(int connection) {
    std::string request;
    char bytes[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(connection, bytes, sizeof(bytes), 0);
      if (got <= 0) return;
      request.append(bytes, static_cast<std::size_t>(got));
    }
    const std::size_t begin = request.find(' ') + 1;
    const std::string body = answer(request.substr(begin, request.find(' ', begin) - begin));
    send_all(connection, std::string(body.empty() ? "HTTP/1.1 404 Not Found" : "HTTP/1.1 200 OK") +
                             "\r\nContent-Length: " + std::to_string(body.size()) +
                             "\r\nConnection: close\r\n\r\n" + body);
  }

  const HlsOptions options_;
  std::string head_;
  std::vector<std::string> segments_;
  double begun_ = 0;  // when the playlist was first asked for; of the server's thread
  Server server_{[this](int connection, int, const std::atomic<bool>&) { serve(connection); }};
};

}  // namespace maskwatch::video_support
