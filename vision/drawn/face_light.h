// The light on a face in a photograph, read off its skin, so that what is laid over the face is lit
// alike.
#pragma once

#include <vector>

#include "vision/drawn/mask_fit.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

// The light on a face, from the brightness of its skin, taken as matt. Linear light, 1 is the light
// under which white cloth is white in the picture.
class FaceLight {
 public:
  FaceLight(const Image& photo, const FittedHead& head);

  // On a surface at (angle, y) of the head that faces `normal` in the picture's axes. Never below a
  // quarter of its mean.
  float on(const Vec3& normal) const;
  // What the smooth light above does not explain (the shadow of a hat, of the nose, a window), as a
  // factor, from the skin nearby.
  float local(float angle, float y) const;

  const Rgb& cast() const { return cast_; }         // colour of white cloth, mean 1
  float saturation() const { return saturation_; }  // 0 in a grey photograph .. 1

 private:
  struct Sample {
    float angle, y;
    Vec3 normal;
    float light;  // linear
    float share;  // light / what the fit says
  };
  void sample_skin(const Image& photo, const FittedHead& head);
  void fit();
  void read_colours(const Image& photo, const FittedHead& head);

  std::vector<Sample> samples_;
  float ambient_ = 1;
  Vec3 direction_ = Vec3::Zero();
  float exposure_ = 1;  // turns the skin's light into that of white cloth
  Rgb cast_ = Rgb::Ones();
  float saturation_ = 1;
};

}  // namespace maskwatch::vision
