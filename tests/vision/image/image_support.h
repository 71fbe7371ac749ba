// What the tests of images share: computed pixels and how far two pictures differ.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::image_support {

inline std::vector<int> values(const vision::Image& image) {
  return {image.pixels.begin(), image.pixels.end()};
}

inline vision::Image pattern(int width, int height) {
  vision::Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.at(x, y)[c] = static_cast<std::uint8_t>((x * 37 + y * 91 + c * 53) % 256);
  return image;
}

inline int largest_difference(const vision::Image& a, const std::vector<int>& b) {
  REQUIRE(a.pixels.size() == b.size());
  int largest = 0;
  for (std::size_t i = 0; i < b.size(); ++i)
    largest = std::max(largest, std::abs(a.pixels[i] - b[i]));
  return largest;
}

// The smallest box around the pixels that are not black.
inline vision::Box painted_box(const vision::Image& image) {
  int left = image.width, right = 0, top = image.height, bottom = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      if (image.at(x, y)[0] + image.at(x, y)[1] + image.at(x, y)[2] == 0) continue;
      left = std::min(left, x);
      right = std::max(right, x + 1);
      top = std::min(top, y);
      bottom = std::max(bottom, y + 1);
    }
  }
  return {float(left), float(top), float(right - left), float(bottom - top)};
}

}  // namespace maskwatch::image_support
