// Decoded frames of any pixel format to 8-bit RGB of square pixels, the right way up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vision/image/image.h"
#include "vision/video/ffmpeg.h"
#include "vision/video/orientation.h"

namespace maskwatch::vision {

// Width by height of a pixel as FFmpeg tells it (0 or less: unknown); 1 where it is unknown, as
// good as 1, or beyond what any video has (1:8 to 8:1).
double pixel_aspect(AVRational told);
// Whether it tells a shape that no video has.
bool is_absurd_aspect(AVRational told);

// Of a decoded picture whose pixels are `aspect` times as wide as high, once its pixels are square,
// before it is turned: the shorter side is stretched.
ImageSize square_pixel_size(int width, int height, double aspect);

class FrameConverter {
 public:
  // Into `out`, whose memory is used again. `aspect` as pixel_aspect gives it. Colour matrix and
  // range are the frame's; a frame that names no matrix has BT.709 from 1280 pixels of width or 577
  // rows on, BT.601 below. Throws std::runtime_error for a pixel format that cannot be converted.
  void convert(const AVFrame& frame, double aspect, const Orientation& orientation, Image& out);

 private:
  SwsContext* scaler(const AVFrame& frame, const ImageSize& size);

  ffmpeg::ScalerCache scaler_;
  std::vector<std::uint8_t> scratch_;  // rows with room behind them, which swscale writes to
};

}  // namespace maskwatch::vision
