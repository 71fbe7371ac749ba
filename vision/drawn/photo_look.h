// How a photograph looks where something is to be laid into it: the light on the face, its colour
// cast, its blur, its noise and its JPEG blocks.
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

struct PhotoGrain {
  float blur = 0;      // standard deviation in pixels of the edges, 0 where they are sharp
  float noise = 0;     // standard deviation in grey levels
  float blocking = 0;  // how much steeper the borders of 8x8 blocks are than the rest; 0: not
};

// From the pixels of `area`; all 0 where it is below 8x8.
PhotoGrain measure_grain(const Image& photo, const PixelBox& area);

// The quality of libjpeg's scale at which such blocks are usual; 100 where there are none.
int jpeg_quality_of(const PhotoGrain& grain);

}  // namespace maskwatch::vision
