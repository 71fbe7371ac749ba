// The kinds of sources, and where FFmpeg finds one that is not a folder of pictures.
#pragma once

#include <string>

namespace maskwatch::vision {

enum class SourceKind { file, pipe, network, camera, graph, folder };

struct StreamAddress {
  SourceKind kind = SourceKind::file;
  std::string name;    // for people
  std::string url;     // for FFmpeg; of a pipe: its path
  std::string format;  // of the input; empty: guessed
};

// `text` with *** for every password in a "://user:password@". A password may hold any character
// but white space: it ends at the last @ before that, even if the path has an @ too.
std::string hide_passwords(const std::string& text);

}  // namespace maskwatch::vision
