// Which way up a decoded picture is shown.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vision/image/image.h"

namespace maskwatch::vision {

// Where pixel (x, y) of the shown picture lies in the decoded one: the axes are swapped first, then
// mirrored.
struct Orientation {
  bool swap_axes = false, mirror_x = false, mirror_y = false;  // mirrors: of the decoded picture
  bool upright() const { return !swap_axes && !mirror_x && !mirror_y; }
  bool operator==(const Orientation&) const = default;
};

// The nearest of the eight orientations to a 3x3 display matrix of FFmpeg (libavutil/display.h).
Orientation orientation_of(const std::int32_t matrix[9]);

// Turned clockwise by 0, 90, 180 or 270 degrees, then, with `flip`, left and right exchanged.
// std::invalid_argument for other angles.
Orientation turned(int degrees, bool flip);

// What `second` makes of a picture that `first` shows.
Orientation then(const Orientation& first, const Orientation& second);

// The RGB pixels at `from`, rows `stride` bytes apart, as they are shown. The memory of `out` is
// used again.
void turn(const std::uint8_t* from, std::size_t stride, int width, int height,
          const Orientation& orientation, Image& out);

}  // namespace maskwatch::vision
