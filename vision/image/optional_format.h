// A picture format that a library reads, where the build has it (vision/image/codec_*.h). Of
// several frames the first is read.
#pragma once

#include <cstdint>
#include <span>

#include "vision/image/codec.h"
#include "vision/image/picture_header.h"

namespace maskwatch::vision {

struct OptionalFormat {
  const char* name;     // "WebP"
  const char* option;   // of meson
  const char* library;  // Debian's package
  bool built;
  // Both throw std::runtime_error that says what is wrong. inspect takes no memory for pixels;
  // decode gives a picture of the header's size.
  PictureHeader (*inspect)(std::span<const std::uint8_t> bytes);
  codec::Decoded (*decode)(std::span<const std::uint8_t> bytes, const PictureHeader& header);
};

}  // namespace maskwatch::vision
