#include "vision/image/geometry.h"

#include <algorithm>

namespace maskwatch::vision {
namespace {

// Of the part that both boxes share; not positive where there is none.
template <typename T>
struct Shared {
  T width, height;
  Shared(const Box& a, const Box& b)
      : width(std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x)),
        height(std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y)) {}
  T area() const { return width > 0 && height > 0 ? width * height : 0; }
};

}  // namespace

float intersection_area(const Box& a, const Box& b) { return Shared<float>(a, b).area(); }

float intersection_over_union(const Box& a, const Box& b) {
  const float shared = intersection_area(a, b);
  return shared > 0 ? shared / (area(a) + area(b) - shared) : 0;
}

double intersection_over_smaller(const Box& a, const Box& b) {
  const auto exact_area = [](const Box& box) {
    return static_cast<double>(box.width) * box.height;
  };
  const double shared = Shared<double>(a, b).area();
  const double least = std::min(exact_area(a), exact_area(b));
  return shared > 0 && least > 0 ? shared / least : 0;
}

Box grow_box(const Box& box, float margin) {
  const float dx = margin * box.width, dy = margin * box.height;
  return {box.x - dx, box.y - dy, box.width + 2 * dx, box.height + 2 * dy};
}

Box cut_off(const Box& box, int width, int height) {
  const float left = std::max(box.x, 0.0f), top = std::max(box.y, 0.0f);
  const float right = std::min(box.x + box.width, static_cast<float>(width));
  const float bottom = std::min(box.y + box.height, static_cast<float>(height));
  return {left, top, std::max(right - left, 0.0f), std::max(bottom - top, 0.0f)};
}

std::vector<Detection> non_maximum_suppression(std::vector<Detection> detections, float max_overlap,
                                               std::size_t candidates) {
  std::stable_sort(detections.begin(), detections.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
  if (detections.size() > candidates) detections.resize(candidates);
  std::vector<Detection> kept;
  for (const Detection& next : detections) {
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](const Detection& surer) {
      return intersection_over_union(surer.box, next.box) > max_overlap;
    });
    if (!hidden) kept.push_back(next);
  }
  return kept;
}

}  // namespace maskwatch::vision
