// The shape of a mask around the model's head, and the colours of its cloth.
// A point of the cloth is (u, v) in the unit square: u across from the picture's left to its right,
// v from the upper edge to the lower.
#pragma once

#include <vector>

#include "vision/drawn/face_paint.h"
#include "vision/drawn/face_shape.h"
#include "vision/drawn/mask_design.h"
#include "vision/drawn/mesh.h"

namespace maskwatch::vision {

class MaskGarment {
 public:
  MaskGarment(const MaskDesign& design, const FaceShape& shape);

  // Where on the head (u, v) lies: angle around it, height.
  struct Place {
    float angle, y;
  };
  Place place(float u, float v) const;
  // In the model.
  Vec3 surface(float u, float v) const;

  // Colour of the cloth in white light, print, seams and hems included.
  Rgb cloth(float u, float v) const;
  // What folds, pleats and weave add to the normal's x and y.
  Eigen::Vector2f relief(float u, float v) const;
  // Shade in the depth of folds and along seams, 0..1.
  float crease(float u, float v) const;

  // Bands from the mask to ear or nape: a line of points (angle, y, distance from the skin).
  struct Band {
    std::vector<Vec3> points;
    float radius;
    Rgb color;
  };
  std::vector<Band> bands() const;

 private:
  struct Cut {
    float side;                        // half of the angle around the head
    float top_middle, top_side;        // heights of the upper edge
    float bottom_middle, bottom_side;  // and of the lower
    float curve;                       // of the upper edge: 1 straight, less: steep at the nose
  };
  static Cut cut_of(const MaskDesign& design);
  float dome(float x, float y) const;
  Vec3 hanging(float angle, float y) const;
  Rgb printed(float x, float y) const;
  Rgb edge_color() const;
  float hem(float u, float v) const;

  const MaskDesign& d_;
  const FaceShape& shape_;
  Cut cut_;
};

}  // namespace maskwatch::vision
