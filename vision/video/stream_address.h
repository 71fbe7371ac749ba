// Where FFmpeg finds a source that is not a folder of pictures.
#pragma once

#include <memory>
#include <string>

namespace maskwatch::vision {

class VideoSource;
struct VideoSourceOptions;

struct StreamAddress {
  enum class Kind { file, pipe, network, camera, graph };
  Kind kind = Kind::file;
  std::string name;    // for people
  std::string url;     // for FFmpeg; of a pipe: its path
  std::string format;  // of the input; empty: guessed
};

// `text` with *** for every password in a "://user:password@". A password may hold any character
// but white space: it ends at the last @ before that, even if the path has an @ too.
std::string hide_passwords(const std::string& text);

// As VideoSource::open; one that is lost is connected again.
std::unique_ptr<VideoSource> open_stream(const StreamAddress& address,
                                         const VideoSourceOptions& options);

}  // namespace maskwatch::vision
