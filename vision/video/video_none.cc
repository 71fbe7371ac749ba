// Stands in for the FFmpeg half where the project is built without it: folders of pictures remain.
#include <stdexcept>

#include "vision/video/stream_address.h"
#include "vision/video/video_source.h"
#include "vision/video/video_writer.h"

namespace maskwatch::vision {

std::unique_ptr<VideoSource> open_stream(const StreamAddress& address, const VideoSourceOptions&) {
  throw std::runtime_error(
      address.name +
      ": this program was built without the FFmpeg libraries and plays nothing "
      "but folders of pictures");
}

struct VideoWriter::State {
  std::string codec;
};
VideoWriter::VideoWriter(const std::string& path, int, int, const VideoWriterOptions&) {
  throw std::runtime_error(
      path + ": this program was built without the FFmpeg libraries and cannot write video");
}
VideoWriter::~VideoWriter() = default;
void VideoWriter::write(const Image&, double) {}
void VideoWriter::close() {}
bool VideoWriter::failed() const { return true; }
const std::string& VideoWriter::codec() const { return state_->codec; }

}  // namespace maskwatch::vision
