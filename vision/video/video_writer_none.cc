// Stands in for the writer where the project is built without FFmpeg.
#include <stdexcept>

#include "vision/video/video_writer.h"

namespace maskwatch::vision {

struct VideoWriter::State {
  std::string codec;
};
VideoWriter::VideoWriter(const std::string& path, int, int, const VideoWriterOptions&) {
  check_path(path);
}
void VideoWriter::check_path(const std::string& path) {
  throw std::runtime_error(
      path + ": this program was built without the FFmpeg libraries and cannot write video");
}
VideoWriter::~VideoWriter() = default;
void VideoWriter::write(const Image&, double) {}
void VideoWriter::close() {}
bool VideoWriter::failed() const { return true; }
const std::string& VideoWriter::codec() const { return state_->codec; }

}  // namespace maskwatch::vision
