#include "vision/video/stream_address.h"

namespace maskwatch::vision {

std::string hide_passwords(const std::string& text) {
  static const std::string mark = "://";
  std::string out;
  std::size_t done = 0;
  for (std::size_t at; (at = text.find(mark, done)) != std::string::npos;) {
    const std::size_t begin = at + mark.size();
    const std::string word = text.substr(begin, text.find_first_of(" \t\r\n\v\f", begin) - begin);
    const std::size_t colon = word.find(':'), host = word.rfind('@');
    const bool hides = host != std::string::npos && colon < host;
    out += text.substr(done, begin - done);
    if (hides) out += word.substr(0, colon + 1) + "***";
    done = begin + (hides ? host : 0);
  }
  return out + text.substr(done);
}

}  // namespace maskwatch::vision
