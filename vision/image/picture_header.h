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

// The most pixels that a picture may have: kMaxMegapixels (base/resource_limits.h), whose errors it
// throws.
std::int64_t max_picture_pixels();

// By the first bytes of a file. Throws std::runtime_error that names what else it is.
PictureFormat picture_format(std::span<const std::uint8_t> bytes);

// Walks the whole file: every length must lie inside it, it must be closed by its end mark, PNG
// check sums must hold, and the declared size must be one that so many bytes can encode, in PNG at
// the declared depth and colour type, which must belong together; and a JPEG may have 100 scans,
// the largest pictures fewer, since each costs the time of the whole picture. Throws
// std::runtime_error that says what is wrong (without the file's name, which it does not know).
PictureHeader inspect_picture(std::span<const std::uint8_t> bytes);

}  // namespace maskwatch::vision
