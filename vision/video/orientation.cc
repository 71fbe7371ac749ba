#include "vision/video/orientation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace maskwatch::vision {

Orientation orientation_of(const std::int32_t matrix[9]) {
  // The picture's point (x, y) is shown at (a x + c y, b x + d y).
  const std::int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (std::abs(a) + std::abs(d) >= std::abs(b) + std::abs(c)) return {false, a < 0, d < 0};
  return {true, b < 0, c < 0};
}

Orientation turned(int degrees, bool flip) {
  if (degrees != 0 && degrees != 90 && degrees != 180 && degrees != 270)
    throw std::invalid_argument(
        fmt::format("turned: {} degrees; 0, 90, 180 and 270 are known", degrees));
  const Orientation turn{degrees % 180 != 0, degrees >= 180, degrees == 90 || degrees == 180};
  return flip ? then(turn, {false, true, false}) : turn;
}

Orientation then(const Orientation& first, const Orientation& second) {
  const bool swap = first.swap_axes;
  return {swap != second.swap_axes, first.mirror_x != (swap ? second.mirror_y : second.mirror_x),
          first.mirror_y != (swap ? second.mirror_x : second.mirror_y)};
}

void turn(const std::uint8_t* from, std::size_t stride, int width, int height,
          const Orientation& orientation, Image& out) {
  out.channels = 3;
  out.width = orientation.swap_axes ? height : width;
  out.height = orientation.swap_axes ? width : height;
  out.pixels.resize(3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
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

}  // namespace maskwatch::vision
