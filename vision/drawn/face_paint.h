// The colours of a drawn face: skin with its features, hair, masks and clothes, as shaders for
// vision/drawn/mesh.h.
#pragma once

#include "vision/drawn/face_shape.h"
#include "vision/drawn/mesh.h"

namespace maskwatch::vision {

Rgb to_rgb(Color color);
Color to_color(const Rgb& color);
// From a to b as t goes from 0 to 1.
Rgb blend(const Rgb& a, const Rgb& b, float t);
// 0 below `low`, 1 above `high`, smooth between.
float step_between(float low, float high, float x);
// Smooth noise of about one wave a unit, -1..1, of a seed.
float wave_noise(float x, float y, std::uint64_t seed);

class FacePainter {
 public:
  // `soft`: the width of edges in model units, about a pixel.
  FacePainter(const FaceParameters& parameters, const FaceShape& shape, float soft);

  bool skin(const Fragment& at, Rgb& color) const;
  bool hair(const Fragment& at, Rgb& color) const;
  bool long_hair(const Fragment& at, Rgb& color) const;
  bool mask(const Fragment& at, Rgb& color) const;
  bool clothes(const Fragment& at, Rgb& color) const;
  bool scarf(const Fragment& at, Rgb& color) const;
  Rgb lit(const Rgb& color, const Vec3& normal, float gloss = 0) const;

 private:
  float near_line(float distance, float half_thickness) const;
  void add_cheeks(const Fragment& at, Rgb& color) const;
  void add_eye(float x, float y, float side, Rgb& color) const;
  void add_brow(float x, float y, Rgb& color) const;
  void add_nose(float x, float y, Rgb& color) const;
  void add_mouth(float x, float y, Rgb& color) const;
  void add_beard(float x, float y, Rgb& color) const;
  float hairline(float angle) const;
  Rgb mask_cloth(float angle, float y) const;

  const FaceParameters& p_;
  const FaceShape& shape_;
  float soft_;
  Vec3 light_;
};

}  // namespace maskwatch::vision
