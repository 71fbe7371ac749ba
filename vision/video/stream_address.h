// Where FFmpeg finds a source that is not a folder of pictures.
#pragma once

#include <string>

namespace maskwatch::vision {

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

}  // namespace maskwatch::vision
