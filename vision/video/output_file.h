// A file that FFmpeg writes a container to. It knows where the last whole fragment ends, so that a
// file which cannot be completed can be cut there.
#pragma once

#include <cstdint>
#include <string>

#include "vision/video/ffmpeg.h"

namespace maskwatch::vision {

class OutputFile {
 public:
  // Creates or empties the file. Throws std::runtime_error naming it.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  AVIOContext* io() { return io_; }
  // errno of the first write that failed, or 0.
  int error() const { return error_; }
  // Everything that was written so far can be played. (FFmpeg holds a fragment back until it is
  // complete.)
  void mark_whole();
  // Gives up: cuts the file behind the last whole fragment, or removes it if there is none.
  void abandon();
  // Errors as error().
  void close();

 private:
  static int write(void* self, std::uint8_t* bytes, int count);
  static std::int64_t seek(void* self, std::int64_t offset, int whence);

  std::string path_;
  int descriptor_ = -1;
  AVIOContext* io_ = nullptr;
  int error_ = 0;
  std::int64_t whole_ = 0;  // bytes
};

}  // namespace maskwatch::vision
