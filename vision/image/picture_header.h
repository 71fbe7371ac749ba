// What a picture file claims about itself, checked before a decoder takes memory for it.
// JPEG (ITU T.81), PNG (RFC 2083) and BMP; GIF, TIFF, WebP, HEIC and AVIF, if the build has their
// libraries (vision/image/codec_*.h); told apart by content. EXIF orientation (TIFF 6.0 tag 274).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace maskwatch::vision {

enum class PictureFormat { jpeg, png, bmp, gif, tiff, webp, heif };

struct PictureHeader {
  PictureFormat format = PictureFormat::jpeg;
  int width = 0;  // as stored, before orientation
  int height = 0;
  int orientation = 1;  // EXIF, 1..8
};

// The most pixels that a picture may have: kMaxMegapixels (base/resource_limits.h), whose errors it
// throws.
std::int64_t max_picture_pixels();

// Throws std::runtime_error for a size that makes no sense or is over max_picture_pixels().
void check_picture_size(std::int64_t width, std::int64_t height);

// The orientation, 1..8, that a block of EXIF data (a TIFF file's head) says; 1 where it says none,
// or is damaged: the picture itself may be sound.
int exif_orientation(std::span<const std::uint8_t> tiff);

// By the first bytes of a file. Throws std::runtime_error that names what else it is.
PictureFormat picture_format(std::span<const std::uint8_t> bytes);

// JPEG, PNG and BMP: walks the whole file: every length must lie inside it, it must be closed by
// its end mark, PNG check sums must hold, and the declared size must be one that so many bytes can
// encode, in PNG at the declared depth and colour type, which must belong together; and a JPEG may
// have 100 scans, the largest pictures fewer, since each costs the time of the whole picture. The
// others: what their library says of the size, and of what it finds damaged. Throws
// std::runtime_error that says what is wrong (without the file's name, which it does not know).
PictureHeader inspect_picture(std::span<const std::uint8_t> bytes);

}  // namespace maskwatch::vision
