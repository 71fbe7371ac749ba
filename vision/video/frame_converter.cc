#include "vision/video/frame_converter.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

constexpr std::size_t kRowAlignment = 64;  // pixels: what any of swscale's loops writes at a time

struct Format {
  AVPixelFormat pixels;
  bool full_range;
};

// The old names of full-range formats make swscale complain.
Format format_of(const AVFrame& frame) {
  const auto pixels = static_cast<AVPixelFormat>(frame.format);
  switch (pixels) {
    case AV_PIX_FMT_YUVJ420P:
      return {AV_PIX_FMT_YUV420P, true};
    case AV_PIX_FMT_YUVJ422P:
      return {AV_PIX_FMT_YUV422P, true};
    case AV_PIX_FMT_YUVJ444P:
      return {AV_PIX_FMT_YUV444P, true};
    case AV_PIX_FMT_YUVJ440P:
      return {AV_PIX_FMT_YUV440P, true};
    case AV_PIX_FMT_YUVJ411P:
      return {AV_PIX_FMT_YUV411P, true};
    default:
      return {pixels, frame.color_range == AVCOL_RANGE_JPEG};
  }
}

int matrix_of(const AVFrame& frame) {
  switch (frame.colorspace) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return frame.width >= 1280 || frame.height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
  }
}

void turn(const std::uint8_t* from, std::size_t stride, int width, int height,
          const Orientation& orientation, Image& out) {
  for (int y = 0; y < out.height; ++y) {
    std::uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x, to += 3) {
      const int u = orientation.swap_axes ? y : x, v = orientation.swap_axes ? x : y;
      const std::uint8_t* pixel = from + (orientation.mirror_y ? height - 1 - v : v) * stride +
                                  (orientation.mirror_x ? width - 1 - u : u) * 3;
      std::copy_n(pixel, 3, to);
    }
  }
}

}  // namespace

Orientation orientation_of(const std::int32_t matrix[9]) {
  // The picture's point (x, y) is shown at (a x + c y, b x + d y).
  const std::int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (std::abs(a) + std::abs(d) >= std::abs(b) + std::abs(c)) return {false, a < 0, d < 0};
  return {true, b < 0, c < 0};
}

SwsContext* FrameConverter::scaler(const AVFrame& frame) {
  const Format format = format_of(frame);
  SwsContext* const scaler =
      scaler_.get({frame.width, frame.height, format.pixels, matrix_of(frame), format.full_range,
                   frame.width, frame.height, AV_PIX_FMT_RGB24});
  if (scaler != nullptr) return scaler;
  const char* name = av_get_pix_fmt_name(format.pixels);
  throw std::runtime_error(fmt::format("pictures of {}x{} pixels in the format {} cannot be used",
                                       frame.width, frame.height, name ? name : "?"));
}

void FrameConverter::convert(const AVFrame& frame, const Orientation& orientation, Image& out) {
  SwsContext* const scaler = this->scaler(frame);
  const std::size_t width = frame.width, height = frame.height;
  out.channels = 3;
  out.width = orientation.swap_axes ? frame.height : frame.width;
  out.height = orientation.swap_axes ? frame.width : frame.height;
  out.pixels.resize(width * height * 3);
  const bool direct = orientation.upright() && width % kRowAlignment == 0;
  const std::size_t padded = (width + kRowAlignment - 1) / kRowAlignment * kRowAlignment;
  const std::size_t stride = 3 * (direct ? width : padded);
  if (!direct) scratch_.resize(stride * (height + 1));
  std::uint8_t* const to = direct ? out.pixels.data() : scratch_.data();
  std::uint8_t* const planes[4] = {to};
  const int strides[4] = {static_cast<int>(stride)};
  if (sws_scale(scaler, frame.data, frame.linesize, 0, frame.height, planes, strides) <= 0)
    throw std::runtime_error("a picture could not be converted to RGB");
  if (direct) return;
  if (!orientation.upright())
    return turn(scratch_.data(), stride, frame.width, frame.height, orientation, out);
  for (int y = 0; y < out.height; ++y) std::copy_n(to + y * stride, 3 * width, out.row(y));
}

}  // namespace maskwatch::vision
