// Decoded frames of any pixel format to upright 8-bit RGB.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vision/image/image.h"
#include "vision/video/ffmpeg.h"

namespace maskwatch::vision {

// Where pixel (x, y) of the upright picture lies in the decoded one.
struct Orientation {
  bool swap_axes = false, mirror_x = false, mirror_y = false;  // mirrors: of the decoded picture
  bool upright() const { return !swap_axes && !mirror_x && !mirror_y; }
};

// The nearest of the eight orientations to a 3x3 display matrix of FFmpeg (libavutil/display.h).
Orientation orientation_of(const std::int32_t matrix[9]);

class FrameConverter {
 public:
  // Into `out`, whose memory is used again. Colour matrix and range are the frame's; a frame that
  // names no matrix has BT.709 from 1280 pixels of width or 577 rows on, BT.601 below.
  // Throws std::runtime_error for a pixel format that cannot be converted.
  void convert(const AVFrame& frame, const Orientation& orientation, Image& out);

 private:
  SwsContext* scaler(const AVFrame& frame);

  ffmpeg::ScalerCache scaler_;
  std::vector<std::uint8_t> scratch_;  // rows with room behind them, which swscale writes to
};

}  // namespace maskwatch::vision
