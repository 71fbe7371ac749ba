#include "base/printable.h"

#include <cstdint>
#include <cstdio>

namespace maskwatch {

char32_t next_character(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at++);
  if (lead < 0x80) return lead;
  if (lead < 0xc2 || lead > 0xf4) return kNotUtf8;
  const std::size_t more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  if (text.size() - at < more) return kNotUtf8;
  char32_t character = lead & (0x3fu >> more);
  for (std::size_t i = 0; i < more; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return kNotUtf8;
    character = character << 6 | (byte(at + i) & 0x3fu);
  }
  const bool overlong = (more == 2 && character < 0x800) || (more == 3 && character < 0x10000);
  if (overlong || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
    return kNotUtf8;
  at += more;
  return character;
}

bool steers_terminal(char32_t c) {
  return (c >= 0x80 && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f || c == 0x2028 ||
         c == 0x2029 || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

std::string printable(std::string_view text) {
  std::string line;
  char escaped[16];
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_character(text, at);
    if (c == '\n' || c == '\r' || c == '\t') {
      line += ' ';
    } else if (c == kNotUtf8 || c < 0x20 || c == 0x7f) {
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(text[begin]));
      line += escaped;
    } else if (steers_terminal(c)) {
      std::snprintf(escaped, sizeof escaped, "\\u{%04x}", static_cast<unsigned>(c));
      line += escaped;
    } else {
      line += text.substr(begin, at - begin);
    }
  }
  return line;
}

}  // namespace maskwatch
