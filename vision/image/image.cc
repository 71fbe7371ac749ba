#include "vision/image/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "base/file.h"
#include "vision/image/codec.h"
#include "vision/image/codec_gif.h"
#include "vision/image/codec_heif.h"
#include "vision/image/codec_tiff.h"
#include "vision/image/codec_webp.h"
#include "vision/image/grey.h"
#include "vision/image/picture_header.h"
#include "vision/image/picture_kinds.h"

namespace maskwatch::vision {
namespace {

constexpr int kLargestJpegSide = 65535;  // its sizes have 16 bits

// The stored pixel that comes to (x, y) of the upright picture, for each EXIF orientation.
struct Turn {
  bool swap_axes, mirror_x, mirror_y;  // of the stored picture
};

Turn turn_of(int orientation) {
  static constexpr Turn turns[9] = {{},
                                    {false, false, false},
                                    {false, true, false},
                                    {false, true, true},
                                    {false, false, true},
                                    {true, false, false},
                                    {true, false, true},
                                    {true, true, true},
                                    {true, true, false}};
  return turns[orientation];
}

Image make_upright(Image stored, int orientation) {
  if (orientation == 1) return stored;
  const Turn turn = turn_of(orientation);
  Image out(turn.swap_axes ? stored.height : stored.width,
            turn.swap_axes ? stored.width : stored.height, stored.channels);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const int u = turn.swap_axes ? y : x, v = turn.swap_axes ? x : y;
      const std::uint8_t* from = stored.at(turn.mirror_x ? stored.width - 1 - u : u,
                                           turn.mirror_y ? stored.height - 1 - v : v);
      std::copy_n(from, stored.channels, out.at(x, y));
    }
  }
  return out;
}

std::uint8_t over_white(int value, int alpha) {
  return static_cast<std::uint8_t>((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

Image to_rgb(codec::Decoded&& in) {
  Image out;
  out.width = in.width;
  out.height = in.height;
  if (in.channels == 3) {
    out.pixels = std::move(in.pixels);
    return out;
  }
  out = Image(in.width, in.height);
  const bool has_alpha = in.channels == 2 || in.channels == 4;
  const int step = in.channels > 2 ? 1 : 0;
  const std::size_t count = static_cast<std::size_t>(in.width) * in.height;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* from = &in.pixels[i * in.channels];
    const int alpha = has_alpha ? from[in.channels - 1] : 255;
    for (int c = 0; c < 3; ++c) out.pixels[3 * i + c] = over_white(from[c * step], alpha);
  }
  return out;
}

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Runs `body`, and puts `name` before whatever it complains about.
template <class Body>
auto naming(const std::string& name, Body body) {
  try {
    return body();
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("{}: {}", name, error.what()));
  }
}

// Room for progressive coefficients of whole 32x32 blocks (T.81), four channels of 16-bit samples
// and the joined compressed bytes.
std::size_t decoder_memory(const PictureHeader& header, std::size_t file_size) {
  const std::size_t blocks =
      (header.width / 32 + std::size_t{2}) * (header.height / 32 + std::size_t{2});
  return blocks * 1024 * 8 + 4 * file_size + (1u << 20);
}

codec::Decoded decode_as(const PictureHeader& header, std::span<const std::uint8_t> bytes) {
  switch (header.format) {
    case PictureFormat::gif:
      return kGif.decode(bytes, header);
    case PictureFormat::tiff:
      return kTiff.decode(bytes, header);
    case PictureFormat::webp:
      return kWebp.decode(bytes, header);
    case PictureFormat::heif:
      return kHeif.decode(bytes, header);
    default:
      return codec::decode(bytes, decoder_memory(header, bytes.size()));
  }
}

// A picture file's bytes; what is not a picture is not read to its end.
std::string read_picture(const std::string& path) {
  return read_file(path, [&](std::string_view first, std::size_t) {
    naming(path, [&] { return picture_format(as_bytes(first)); });
  });
}

}  // namespace

bool is_sound(const Image& image) {
  return image.width >= 0 && image.height >= 0 && (image.channels == 1 || image.channels == 3) &&
         image.pixels.size() ==
             static_cast<std::size_t>(image.width) * image.height * image.channels;
}

ImageView::ImageView(const Image& image)
    : ImageView(image.pixels.data(), image.width, image.height, image.channels,
                static_cast<std::size_t>(image.width) * image.channels) {
  if (!is_sound(image))
    throw std::invalid_argument(fmt::format("a picture of {}x{} with {} channels and {} bytes",
                                            width, height, channels, image.pixels.size()));
}

ImageView::ImageView(const std::uint8_t* pixels, int width, int height, int channels,
                     std::size_t stride)
    : pixels(pixels), width(width), height(height), channels(channels), stride(stride) {
  if (width < 0 || height < 0 || (channels != 1 && channels != 3))
    throw std::invalid_argument(fmt::format("a picture of {}x{} with {} channels; 1 or 3 are taken",
                                            width, height, channels));
  if (stride < static_cast<std::size_t>(width) * channels)
    throw std::invalid_argument(fmt::format(
        "a picture of {}x{} with {} channels and {} bytes a row", width, height, channels, stride));
  if (pixels == nullptr && !empty())
    throw std::invalid_argument(fmt::format("a picture of {}x{} without pixels", width, height));
}

Image copy_of(const ImageView& view) {
  Image out(view.width, view.height, view.channels);
  const std::size_t row_size = static_cast<std::size_t>(view.width) * view.channels;
  for (int y = 0; y < view.height; ++y) std::copy_n(view.row(y), row_size, out.row(y));
  return out;
}

std::vector<ImageView> views_of(std::span<const Image> images) {
  return {images.begin(), images.end()};
}

Image decode_image(std::span<const std::uint8_t> bytes, const std::string& name) {
  return naming(name, [&] {
    const PictureHeader header = inspect_picture(bytes);
    codec::Decoded decoded = decode_as(header, bytes);
    if (decoded.width != header.width || decoded.height != header.height)
      throw std::runtime_error("corrupt: its headers contradict each other");
    return make_upright(to_rgb(std::move(decoded)), header.orientation);
  });
}

Image load_image(const std::string& path) {
  return decode_image(as_bytes(read_picture(path)), path);
}

ImageSize image_file_size(const std::string& path) {
  const std::string bytes = read_picture(path);
  const PictureHeader header = naming(path, [&] { return inspect_picture(as_bytes(bytes)); });
  if (turn_of(header.orientation).swap_axes) return {header.height, header.width};
  return {header.width, header.height};
}

bool is_writable_picture(const std::string& path) {
  const std::string extension = lower_case_extension(path);
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

void save_image(const std::string& path, const Image& image) {
  if (image.empty()) throw std::invalid_argument(fmt::format("save_image: {}: empty image", path));
  const bool png = lower_case_extension(path) == ".png";
  if (!is_writable_picture(path))
    throw std::invalid_argument(
        fmt::format("save_image: {}: pictures are written as .png, .jpg or .jpeg", path));
  if (!png && std::max(image.width, image.height) > kLargestJpegSide)
    throw std::invalid_argument(fmt::format("save_image: {}: {}x{} pixels are too many for a JPEG",
                                            path, image.width, image.height));
  constexpr int jpeg_quality = 92;
  const std::string bytes = naming(path, [&] {
    return png ? codec::encode_png(image) : codec::encode_jpeg(image, jpeg_quality);
  });
  write_file_atomically(path, bytes);
}

Image crop(const ImageView& image, const Box& box) {
  const PixelBox inside = clamp_box(image, box);
  Image out(inside.width, inside.height, image.channels);
  const std::size_t row_size = static_cast<std::size_t>(inside.width) * image.channels;
  for (int y = 0; y < inside.height; ++y)
    std::copy_n(image.at(inside.x, inside.y + y), row_size, out.row(y));
  return out;
}

PixelBox clamp_box(const ImageView& image, const Box& box) {
  const auto edge = [](float at, int end) {
    return at > 0 ? static_cast<int>(std::min<double>(std::lround(std::min(at, 1e9f)), end)) : 0;
  };
  const int left = edge(box.x, image.width), right = edge(box.x + box.width, image.width);
  const int top = edge(box.y, image.height), bottom = edge(box.y + box.height, image.height);
  if (left >= right || top >= bottom)
    throw std::invalid_argument(
        fmt::format("crop: the box {}x{} at ({}, {}) holds no pixel of a picture of {}x{}",
                    box.width, box.height, box.x, box.y, image.width, image.height));
  return {left, top, right - left, bottom - top};
}

Image to_grey(const ImageView& image) {
  if (image.channels == 1) return copy_of(image);
  Image grey(image.width, image.height, 1);
  for (int y = 0; y < image.height; ++y)
    rgb_to_grey(image.row(y), static_cast<std::size_t>(image.width), grey.row(y));
  return grey;
}

Image to_rgb(const ImageView& image) {
  if (image.channels == 3) return copy_of(image);
  Image rgb(image.width, image.height, 3);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* grey = image.row(y);
    for (int x = 0; x < image.width; ++x) std::fill_n(rgb.at(x, y), 3, grey[x]);
  }
  return rgb;
}

Image flip_horizontally(const Image& image) { return make_upright(image, 2); }

}  // namespace maskwatch::vision
