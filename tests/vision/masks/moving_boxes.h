// Faces that move, as a detector sees them: for the tests of the tracker and of what it is made of.
#pragma once

#include "base/random.h"
#include "vision/image/image.h"

namespace maskwatch::moving_boxes {

inline constexpr double kFrame = 1 / 30.;  // s

// A face's box of this height about (x, y).
inline vision::Box centred(double x, double y, double height) {
  const double width = .8 * height;
  return {static_cast<float>(x - width / 2), static_cast<float>(y - height / 2),
          static_cast<float>(width), static_cast<float>(height)};
}

// A box as detectors give it: off by a few percent.
inline vision::Box jitter(const vision::Box& box, Random& random, double share = .03) {
  const auto off = [&] { return static_cast<float>(share * random.bounded_normal()) * box.height; };
  return {box.x + off(), box.y + off(), box.width + off(), box.height + off()};
}

}  // namespace maskwatch::moving_boxes
