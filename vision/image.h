// An 8-bit picture in memory, and its way in from and out to files.
// Pixels are interleaved rows (HWC, row-major), no padding; three channels are R, G, B.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace vision {

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

// A rectangle in pixels: left and top edge, width and height.
struct Box {
  float x = 0;
  float y = 0;
  float width = 0;
  float height = 0;
};

// A face that a detector found. `score` is the detector's own: higher is surer.
struct Detection {
  Box box;
  float score = 0;
};

}  // namespace vision
