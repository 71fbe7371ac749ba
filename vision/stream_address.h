// Where FFmpeg finds a source that is not a folder of pictures.
#pragma once

#include <memory>
#include <string>

namespace vision {

class VideoSource;
struct VideoSourceOptions;

struct StreamAddress {
  enum class Kind { file, network, camera, graph };
  Kind kind = Kind::file;
  std::string name;    // for people: no password in it
  std::string url;     // for FFmpeg
  std::string format;  // of the input; empty: guessed
};

// As VideoSource::open; one that is lost is connected again.
std::unique_ptr<VideoSource> open_stream(const StreamAddress& address,
                                         const VideoSourceOptions& options);

}  // namespace vision
