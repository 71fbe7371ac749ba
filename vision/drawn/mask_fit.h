// A drawn head (vision/drawn/face_shape.h) brought into line with the 68 landmarks of a
// photographed one: whatever is shaped on the model can be put into the picture, and turns with the
// head.
#pragma once

#include <Eigen/Core>
#include <span>
#include <vector>

#include "vision/drawn/face_shape.h"
#include "vision/drawn/mesh.h"
#include "vision/image/draw.h"

namespace maskwatch::vision {

// The camera is affine, fitted to the landmarks by least squares; what it leaves is spread over the
// face by Gaussian radial basis functions that fade out beyond it.
class FittedHead {
 public:
  // iBUG order, pixels. Throws std::invalid_argument for landmarks that are not finite, are beyond
  // 2^20, or show no face (all in a line or in a point).
  explicit FittedHead(std::span<const Point, 68> landmarks);

  // x and y in pixels of the picture, z towards the viewer in the same unit.
  Vec3 place(const Vec3& model) const;
  // The direction at which `surface` faces at (a, b), in the picture's axes: its normal, of
  // length 1; the zero vector where the surface is degenerate.
  template <class Surface>
  Vec3 normal(const Surface& surface, float a, float b) const {
    constexpr float step = .01f;
    const Vec3 along = place(surface(a + step, b)) - place(surface(a - step, b));
    const Vec3 down = place(surface(a, b + step)) - place(surface(a, b - step));
    return along.cross(down).normalized();
  }

  const FaceShape& shape() const { return shape_; }
  float scale() const { return scale_; }  // pixels of a model unit: a head has 2.1

 private:
  Eigen::Vector2d project(const Vec3& model) const;
  void fit_camera(std::span<const Point, 68> landmarks, std::span<const Vec3, 68> model);
  void fit_residue(std::span<const Point, 68> landmarks, std::span<const Vec3, 68> model);

  FaceShape shape_;
  Eigen::Matrix<double, 2, 4> camera_;
  Vec3 towards_viewer_;  // in the model
  float scale_ = 1;
  struct Knot {
    Eigen::Vector2f at, weight;
  };
  std::vector<Knot> knots_;
};

}  // namespace maskwatch::vision
