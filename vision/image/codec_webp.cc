#include "vision/image/codec_webp.h"

#include <memory>
#include <stdexcept>

#if MASKWATCH_WEBP
#include <webp/decode.h>
#include <webp/demux.h>
#endif

namespace maskwatch::vision {
#if MASKWATCH_WEBP
namespace {

using Demuxer = std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)>;

Demuxer open(std::span<const std::uint8_t> bytes) {
  const WebPData data{bytes.data(), bytes.size()};
  Demuxer file(WebPDemux(&data), WebPDemuxDelete);
  if (!file) throw std::runtime_error("truncated or corrupt WebP");
  return file;
}

int orientation(const WebPDemuxer* file) {
  WebPChunkIterator chunk;
  if (WebPDemuxGetChunk(file, "EXIF", 1, &chunk) == 0) return 1;
  const std::span<const std::uint8_t> data(chunk.chunk.bytes, chunk.chunk.size);
  const bool introduced = data.size() > 6 && data[0] == 'E' && data[1] == 'x';  // as in a JPEG
  const int found = exif_orientation(introduced ? data.subspan(6) : data);
  WebPDemuxReleaseChunkIterator(&chunk);
  return found;
}

PictureHeader inspect(std::span<const std::uint8_t> bytes) {
  const Demuxer file = open(bytes);
  const auto width = WebPDemuxGetI(file.get(), WEBP_FF_CANVAS_WIDTH);
  const auto height = WebPDemuxGetI(file.get(), WEBP_FF_CANVAS_HEIGHT);
  check_picture_size(width, height);
  return {PictureFormat::webp, static_cast<int>(width), static_cast<int>(height),
          orientation(file.get())};
}

// The frame may fill a part of the picture only; the rest is transparent.
codec::Decoded decode(std::span<const std::uint8_t> bytes, const PictureHeader& header) {
  const Demuxer file = open(bytes);
  WebPIterator frame;
  if (WebPDemuxGetFrame(file.get(), 1, &frame) == 0)
    throw std::runtime_error("corrupt WebP: it has no picture");
  const std::unique_ptr<WebPIterator, decltype(&WebPDemuxReleaseIterator)> release(
      &frame, WebPDemuxReleaseIterator);
  if (frame.x_offset < 0 || frame.y_offset < 0 || frame.x_offset > header.width - frame.width ||
      frame.y_offset > header.height - frame.height)
    throw std::runtime_error("corrupt WebP: a frame outside the picture");
  codec::Decoded out{header.width, header.height, 4, {}};
  out.pixels.resize(std::size_t{4} * header.width * header.height);
  const std::size_t stride = std::size_t{4} * header.width;
  const std::size_t begin = frame.y_offset * stride + std::size_t{4} * frame.x_offset;
  if (WebPDecodeRGBAInto(frame.fragment.bytes, frame.fragment.size, out.pixels.data() + begin,
                         out.pixels.size() - begin, static_cast<int>(stride)) == nullptr)
    throw std::runtime_error("truncated or corrupt WebP");
  return out;
}

}  // namespace

const OptionalFormat kWebp{"WebP", "webp", "libwebp-dev", true, inspect, decode};
#else
const OptionalFormat kWebp{"WebP", "webp", "libwebp-dev", false, nullptr, nullptr};
#endif
}  // namespace maskwatch::vision
