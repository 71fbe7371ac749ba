#include "vision/video/frame_converter.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

constexpr std::size_t kRowAlignment = 64;  // pixels: what any of swscale's loops writes at a time
constexpr double kMostAspect = 8;

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

}  // namespace

double pixel_aspect(AVRational told) {
  // Of standards the nearest to a square is 12:11. Files that were scaled by programs which keep
  // the shape of the whole picture tell the rounding of its sides.
  constexpr double as_good_as_square = .03;
  if (told.num <= 0 || told.den <= 0 || is_absurd_aspect(told)) return 1;
  const double aspect = av_q2d(told);
  return std::abs(aspect - 1) < as_good_as_square ? 1 : aspect;
}

bool is_absurd_aspect(AVRational told) {
  const double aspect = told.num > 0 && told.den > 0 ? av_q2d(told) : 1;
  return aspect > kMostAspect || aspect < 1 / kMostAspect;
}

ImageSize square_pixel_size(int width, int height, double aspect) {
  const auto times = [](int length, double factor) {
    return std::max(1, static_cast<int>(std::lround(length * factor)));
  };
  const double stretch = std::max(aspect, 1 / aspect);
  const bool too_large =
      static_cast<double>(width) * height * stretch > double{ffmpeg::kMostFramePixels};
  if ((aspect > 1) != too_large) return {times(width, aspect), height};
  return {width, times(height, 1 / aspect)};
}

SwsContext* FrameConverter::scaler(const AVFrame& frame, const ImageSize& size) {
  const Format format = format_of(frame);
  SwsContext* const scaler =
      scaler_.get({frame.width, frame.height, format.pixels, matrix_of(frame), format.full_range,
                   size.width, size.height, AV_PIX_FMT_RGB24});
  if (scaler != nullptr) return scaler;
  const char* name = av_get_pix_fmt_name(format.pixels);
  throw std::runtime_error(fmt::format("pictures of {}x{} pixels in the format {} cannot be used",
                                       frame.width, frame.height, name ? name : "?"));
}

void FrameConverter::convert(const AVFrame& frame, double aspect, const Orientation& orientation,
                             Image& out) {
  const ImageSize size = square_pixel_size(frame.width, frame.height, aspect);
  SwsContext* const scaler = this->scaler(frame, size);
  const std::size_t width = size.width, height = size.height;
  out.channels = 3;
  out.width = size.width;
  out.height = size.height;
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
    return turn(scratch_.data(), stride, size.width, size.height, orientation, out);
  for (int y = 0; y < out.height; ++y) std::copy_n(to + y * stride, 3 * width, out.row(y));
}

}  // namespace maskwatch::vision
