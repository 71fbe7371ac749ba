// Stands in for FFmpeg's sources where the project is built without it: folders of pictures remain.
#include <stdexcept>

#include "vision/video/stream_source.h"

namespace maskwatch::vision {

std::unique_ptr<VideoSource> open_stream(const StreamAddress& address, const VideoSourceOptions&) {
  throw std::runtime_error(
      address.name +
      ": this program was built without the FFmpeg libraries and plays nothing "
      "but folders of pictures");
}

}  // namespace maskwatch::vision
