// A head in three dimensions: horizontal slices are half ellipses in front and behind, with bumps
// for nose, lips, cheeks and hollows for the eyes. Units: the head is 2.1 high. x to the picture's
// right, y down from the bridge of the nose, z towards the viewer; chin at y = 1.05, crown at y =
// -1.05.
#pragma once

#include <array>

#include "vision/drawn/face_generator.h"
#include "vision/drawn/mesh.h"

namespace maskwatch::vision {

inline constexpr float kEyeX = .31f, kEyeY = -.02f;
inline constexpr float kMouthY = .66f;

class FaceShape {
 public:
  explicit FaceShape(const FaceParameters& parameters) : p_(parameters) {}

  // The skin at `angle` around the head (0 in front, positive to the picture's right), `y` below
  // the bridge; `outwards` moves it away from the head, `detail` scales the bumps.
  Vec3 skin(float angle, float y, float outwards = 0, float detail = 1) const;
  // The skin's point in front at (x, y).
  Vec3 front(float x, float y, float outwards = 0) const;
  // A mask's cloth: taut over nose and mouth.
  Vec3 cloth(float angle, float y) const;
  // The mask's upper edge at `angle`; the lower one is below the chin.
  float mask_top(float angle) const;

  // Half the width of a slice.
  float half_width(float y) const;

  // Lids of an eye at t in -1 (outer corner of the picture's left eye) .. 1, relative to its
  // centre.
  float upper_lid(float t) const;
  float lower_lid(float t) const;
  float eye_half_width() const { return .145f * p_.eye_size; }
  // The middle of a brow at t in 0 (inner end) .. 1 (outer end): distance from the middle line, and
  // y.
  float brow_x(float t) const { return .12f + .4f * t; }
  float brow_y(float t) const;
  float mouth_half_width() const { return .235f * p_.mouth_width + .04f * p_.smile; }
  // The four lines of the lips at t in -1..1 from corner to corner.
  struct Lips {
    float upper_outer, upper_inner, lower_inner, lower_outer;
  };
  Lips lips(float t) const;

  // iBUG order, in the model.
  std::array<Vec3, 68> landmarks() const;

 private:
  float front_depth(float y) const;
  float back_depth(float y) const;
  float bumps(float x, float y) const;

  const FaceParameters& p_;
};

}  // namespace maskwatch::vision
