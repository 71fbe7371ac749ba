// A named pipe as FFmpeg's input, whose opening and reading can be ended.
#pragma once

extern "C" {
#include <libavformat/avio.h>
}

#include <memory>
#include <string>

#include "vision/video/ffmpeg.h"

namespace maskwatch::vision {

class StreamPipe {
 public:
  // Opens it at once; reading then waits for a writer too. Every arrival of data gives `watch`
  // another `timeout` s.
  StreamPipe(const std::string& path, std::shared_ptr<ffmpeg::Watch> watch, double timeout);
  ~StreamPipe();
  StreamPipe(const StreamPipe&) = delete;
  StreamPipe& operator=(const StreamPipe&) = delete;

  // FFmpeg's; 0 if it could be opened.
  int error() const { return error_; }
  AVIOContext* io() { return io_; }

 private:
  int read(std::uint8_t* bytes, int size);

  const std::shared_ptr<ffmpeg::Watch> watch_;
  const double timeout_;
  int descriptor_ = -1, error_ = 0;
  AVIOContext* io_ = nullptr;
};

}  // namespace maskwatch::vision
