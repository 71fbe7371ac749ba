// Points and rectangles on an image, and what is found there. Positions are continuous: pixel
// (i, j) covers the square from (i, j) to (i + 1, j + 1).
#pragma once

#include <cstddef>
#include <vector>

namespace maskwatch::vision {

struct Point {
  float x = 0;
  float y = 0;
};

// A rectangle in pixels: left and top edge, width and height.
struct Box {
  float x = 0;
  float y = 0;
  float width = 0;
  float height = 0;
};

// A rectangle of whole pixels.
struct PixelBox {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

// A face that a detector found. `score` is the detector's own: higher is surer.
struct Detection {
  Box box;
  float score = 0;
};

inline float area(const Box& box) { return box.width * box.height; }
inline Point center(const Box& box) { return {box.x + box.width / 2, box.y + box.height / 2}; }

// Whether the point lies inside the box, not on its edge.
inline bool contains(const Box& box, Point point) {
  return point.x > box.x && point.x < box.x + box.width && point.y > box.y &&
         point.y < box.y + box.height;
}

// The area that both boxes cover.
float intersection_area(const Box& a, const Box& b);

// Shared area by joint area, 0 to 1; 0 where both boxes are empty.
float intersection_over_union(const Box& a, const Box& b);

// Shared area by the area of the smaller box, 0 to 1; 0 where that is empty.
double intersection_over_smaller(const Box& a, const Box& b);

// `box` with `margin` times its size added on each side.
Box grow_box(const Box& box, float margin);

// The part of the box inside an image of width x height; without width or height where there is
// none.
Box cut_off(const Box& box, int width, int height);

// Keeps the surest box, drops those that overlap it by more than `max_overlap` (intersection over
// union), and goes on with the next; surest first, of equal scores the earlier one. Boxes beyond
// the `candidates` surest are not looked at.
std::vector<Detection> non_maximum_suppression(std::vector<Detection> detections, float max_overlap,
                                               std::size_t candidates = 200);

}  // namespace maskwatch::vision
