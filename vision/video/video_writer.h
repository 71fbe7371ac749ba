// Video files from pictures: H.264 (or MPEG-4 part 2 where FFmpeg has no encoder for it) in .mp4,
// .m4v, .mov or .mkv, MPEG-4 part 2 in .avi.
// A .mp4 or .mkv is written in fragments of about a second, so that it plays up to the last whole
// one if the program is killed or the disk fills up.
#pragma once

#include <memory>
#include <string>

#include "vision/image/image.h"

namespace maskwatch::vision {

struct VideoWriterOptions {
  double fps = 25;      // nominal; the times given to write count (an .avi rounds them to 1/fps)
  int quality = 23;     // x264's CRF, 0 (lossless) to 51
  double fragment = 1;  // s
  int threads = 0;      // of the encoder; 0: as many as there are cores
};

class VideoWriter {
 public:
  // Creates the file, or empties it. Throws std::invalid_argument for sizes or options out of range
  // or an extension that is not in the list above, std::runtime_error naming the path if it cannot
  // be written.
  VideoWriter(const std::string& path, int width, int height,
              const VideoWriterOptions& options = {});
  // What the constructor throws because of the extension, and where there is no FFmpeg.
  static void check_path(const std::string& path);
  ~VideoWriter();  // closes; errors are lost
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  // Appends a picture (grey or RGB) to be shown at `time` (s; any start; a time that does not rise
  // counts as just after the one before, and one more than an hour later, in an .avi a minute, as
  // the next frame: containers hold no such gap). A picture of another size is scaled into the
  // frame with black bars; odd sizes lose a row or column. Throws std::invalid_argument for an
  // empty picture and a time that is not finite, and, once, WriteError naming the path when
  // writing fails: the file then ends with its last whole fragment, and later calls do nothing.
  void write(const Image& image, double time);

  // Writes what is left. Throws as write does. Nothing can be written afterwards.
  void close();

  bool failed() const;
  const std::string& codec() const;  // FFmpeg's name of the encoder

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace maskwatch::vision
