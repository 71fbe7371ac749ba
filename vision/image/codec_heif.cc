#include "vision/image/codec_heif.h"

#include <algorithm>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#if MASKWATCH_HEIF
#include <libheif/heif.h>
#endif

namespace maskwatch::vision {
#if MASKWATCH_HEIF
namespace {

void require(const heif_error& error) {
  if (error.code != heif_error_Ok)
    throw std::runtime_error(std::string("truncated, corrupt or unsupported HEIC or AVIF (") +
                             (error.message != nullptr ? error.message : "?") + ")");
}

// The main picture of a file, whose bytes must live as long.
class MainPicture {
 public:
  explicit MainPicture(std::span<const std::uint8_t> bytes)
      : context_(heif_context_alloc(), heif_context_free),
        handle_(nullptr, heif_image_handle_release) {
    if (!context_) throw std::bad_alloc();
    require(heif_context_read_from_memory_without_copy(context_.get(), bytes.data(), bytes.size(),
                                                       nullptr));
    heif_image_handle* handle = nullptr;
    require(heif_context_get_primary_image_handle(context_.get(), &handle));
    handle_.reset(handle);
    check_picture_size(width(), height());
  }
  int width() const { return heif_image_handle_get_width(handle_.get()); }
  int height() const { return heif_image_handle_get_height(handle_.get()); }
  bool has_alpha() const { return heif_image_handle_has_alpha_channel(handle_.get()) != 0; }
  const heif_image_handle* get() const { return handle_.get(); }

 private:
  std::unique_ptr<heif_context, decltype(&heif_context_free)> context_;
  std::unique_ptr<heif_image_handle, decltype(&heif_image_handle_release)> handle_;
};

PictureHeader inspect(std::span<const std::uint8_t> bytes) {
  const MainPicture picture(bytes);
  return {PictureFormat::heif, picture.width(), picture.height()};
}

codec::Decoded decode(std::span<const std::uint8_t> bytes, const PictureHeader& header) {
  const MainPicture picture(bytes);
  const int channels = picture.has_alpha() ? 4 : 3;
  const std::unique_ptr<heif_decoding_options, decltype(&heif_decoding_options_free)> options(
      heif_decoding_options_alloc(), heif_decoding_options_free);
  if (!options) throw std::bad_alloc();
  options->decoder_id = "aom";  // where there is a choice: dav1d prints what it finds damaged
  heif_image* decoded = nullptr;
  require(heif_decode_image(
      picture.get(), &decoded, heif_colorspace_RGB,
      channels == 4 ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, options.get()));
  const std::unique_ptr<heif_image, decltype(&heif_image_release)> image(decoded,
                                                                         heif_image_release);
  int stride = 0;
  const std::uint8_t* plane =
      heif_image_get_plane_readonly(image.get(), heif_channel_interleaved, &stride);
  if (plane == nullptr ||
      heif_image_get_width(image.get(), heif_channel_interleaved) != header.width ||
      heif_image_get_height(image.get(), heif_channel_interleaved) != header.height)
    throw std::runtime_error("corrupt: its headers contradict each other");
  codec::Decoded out{header.width, header.height, channels, {}};
  const std::size_t row = static_cast<std::size_t>(channels) * header.width;
  out.pixels.resize(row * header.height);
  for (int y = 0; y < header.height; ++y)
    std::copy_n(plane + static_cast<std::ptrdiff_t>(y) * stride, row, &out.pixels[y * row]);
  return out;
}

}  // namespace

const OptionalFormat kHeif{"HEIC and AVIF", "heif", "libheif-dev", true, inspect, decode};
#else
const OptionalFormat kHeif{"HEIC and AVIF", "heif", "libheif-dev", false, nullptr, nullptr};
#endif
}  // namespace maskwatch::vision
