// What a picture file claims about itself, checked before a decoder takes memory for it.
// JPEG (ITU T.81), PNG (RFC 2083) and BMP, told apart by content; EXIF orientation (TIFF 6.0 tag
// 274).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace maskwatch::vision {

enum class PictureFormat { jpeg, png, bmp };

struct PictureHeader {
  PictureFormat format = PictureFormat::jpeg;
  int width = 0;  // as stored, before orientation
  int height = 0;
  int orientation = 1;  // EXIF, 1..8
};

// The most pixels that a picture may have: 256 million, or as many million as the environment
// variable MASKWATCH_MAX_MEGAPIXELS says, from 1 to 700. Throws std::runtime_error for another
// value of it.
std::int64_t max_picture_pixels();

// Walks the whole file: every length must lie inside it, it must be closed by its end mark, PNG
// check sums must hold, and the declared size must be one that so many bytes can encode, in PNG at
// the declared depth and colour type, which must belong together. Throws std::runtime_error that
// says what is wrong (without the file's name, which it does not know).
PictureHeader inspect_picture(std::span<const std::uint8_t> bytes);

}  // namespace maskwatch::vision
