// An 8-bit picture in memory, and how it is read from files and written to them.
// Pixels are interleaved rows (HWC, row-major), no padding; three channels are R, G, B.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vision/image/geometry.h"

namespace maskwatch::vision {

struct Image {
  int width = 0;
  int height = 0;
  int channels = 3;  // 1 (grey) or 3 (RGB)
  std::vector<std::uint8_t> pixels;

  Image() = default;
  Image(int width, int height, int channels = 3)
      : width(width),
        height(height),
        channels(channels),
        pixels(static_cast<std::size_t>(width) * height * channels) {}

  bool empty() const { return pixels.empty(); }
  std::uint8_t* row(int y) {
    return pixels.data() + static_cast<std::size_t>(y) * width * channels;
  }
  const std::uint8_t* row(int y) const {
    return pixels.data() + static_cast<std::size_t>(y) * width * channels;
  }
  std::uint8_t* at(int x, int y) { return row(y) + static_cast<std::size_t>(x) * channels; }
  const std::uint8_t* at(int x, int y) const {
    return row(y) + static_cast<std::size_t>(x) * channels;
  }
};

// Whether there are 1 or 3 channels, and as many bytes as the size asks for: none of an empty
// picture.
bool is_sound(const Image& image);

// The pixels of a picture in somebody else's memory (an array's, a camera's), which must outlive
// the view.
struct ImageView {
  const std::uint8_t* pixels = nullptr;
  int width = 0;
  int height = 0;
  int channels = 3;        // 1 (grey) or 3 (RGB)
  std::size_t stride = 0;  // bytes from one row to the next

  ImageView() = default;
  // Throws std::invalid_argument unless is_sound(image).
  ImageView(const Image& image);
  // Throws std::invalid_argument for a negative size, other channels, a stride shorter than a row,
  // and no pixels where there should be some.
  ImageView(const std::uint8_t* pixels, int width, int height, int channels, std::size_t stride);

  bool empty() const { return width == 0 || height == 0; }
  const std::uint8_t* row(int y) const { return pixels + static_cast<std::size_t>(y) * stride; }
  const std::uint8_t* at(int x, int y) const {
    return row(y) + static_cast<std::size_t>(x) * channels;
  }
};

Image copy_of(const ImageView& view);
std::vector<ImageView> views_of(std::span<const Image> images);

// Reads a JPEG, PNG or BMP file, or, if the build has their libraries, a GIF or animated WebP (the
// first frame), TIFF, HEIC or AVIF, told apart by content, as upright 8-bit RGB: EXIF orientation
// is applied, grey, palette and 16-bit samples are converted, alpha is composited over white.
// Throws std::runtime_error naming the file for one that is missing, of another kind, truncated,
// corrupt, or of more pixels than max_picture_pixels() (vision/image/picture_header.h); memory is
// taken only for sizes below that, and in JPEG, PNG, BMP and GIF for such as the file's length
// makes possible.
Image load_image(const std::string& path);

// The same for bytes in memory; `name` stands for the file in errors.
Image decode_image(std::span<const std::uint8_t> bytes, const std::string& name);

// Width and height of the upright picture, without decoding it. Errors as load_image, but for what
// only decoding shows.
struct ImageSize {
  int width = 0;
  int height = 0;
};
ImageSize image_file_size(const std::string& path);

// Whether a picture can be written under this name: .png, .jpg or .jpeg, in any case.
bool is_writable_picture(const std::string& path);

// Writes a .png, .jpg or .jpeg (quality 92) atomically. Throws std::invalid_argument for an empty
// image, another extension or a JPEG of more than 65535 pixels a side, and std::runtime_error
// naming the file when it cannot be written.
void save_image(const std::string& path, const Image& image);

// `box` with its edges rounded to pixels and clamped to the picture.
// Throws std::invalid_argument for a box that holds no pixel of the picture.
PixelBox clamp_box(const ImageView& image, const Box& box);

// The part of the picture inside clamp_box(image, box).
// Throws std::invalid_argument for a box that holds no pixel of the picture.
Image crop(const ImageView& image, const Box& box);

// Y of BT.601 in the fixed-point arithmetic of OpenCV's cvtColor; a grey picture is copied.
Image to_grey(const ImageView& image);
// Three equal samples a pixel; an RGB picture is copied.
Image to_rgb(const ImageView& image);

Image flip_horizontally(const Image& image);

}  // namespace maskwatch::vision
