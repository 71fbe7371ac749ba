// Drawn faces to lay masks on, and which of their landmarks a mask hides.
#pragma once

#include <array>
#include <cstdint>

#include "vision/drawn/face_generator.h"

namespace maskwatch::masked_faces {

inline vision::DrawnFace bare_face(std::uint64_t seed, int size = 160) {
  return vision::draw_face(vision::random_face(seed, false), size, size);
}

inline int covered_at(const vision::Image& covered, vision::Point p) {
  const int x = static_cast<int>(p.x), y = static_cast<int>(p.y);
  if (x < 0 || y < 0 || x >= covered.width || y >= covered.height) return -1;
  return *covered.at(x, y);
}

// Share of the landmarks from `first` to before `last` that the mask hides.
inline double hidden(const vision::Image& covered, const std::array<vision::Point, 68>& points,
                     int first, int last) {
  int count = 0;
  for (int i = first; i < last; ++i) count += covered_at(covered, points[i]) > 127;
  return static_cast<double>(count) / (last - first);
}

}  // namespace maskwatch::masked_faces
