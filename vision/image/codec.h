// Picture bytes to pixels and back, through stb_image and stb_image_write.
// codec.cc is the only file that includes them, so that their memory is bounded and no other
// picture format gets in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::vision::codec {

// 8-bit pixels with the channels that the file has: grey, grey+alpha, RGB or RGBA.
struct Decoded {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;
};

// `memory_limit` bounds each block that the decoder takes. Throws std::runtime_error with the
// decoder's reason.
Decoded decode(std::span<const std::uint8_t> bytes, std::size_t memory_limit);

// The bytes of a file. Throw std::runtime_error where there can be none, std::bad_alloc where
// memory runs out.
std::string encode_png(const Image& image);
std::string encode_jpeg(const Image& image, int quality);

}  // namespace maskwatch::vision::codec
