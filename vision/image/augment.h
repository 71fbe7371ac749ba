// Random variations of training pictures, as Keras's ImageDataGenerator draws and applies them, and
// some more that are off unless asked for.
#pragma once

#include <cstdint>

#include "vision/image/image.h"

namespace maskwatch::vision {

// The first group are ImageDataGenerator's arguments of the same names.
struct AugmentOptions {
  float rotation = 20;       // degrees, either way
  float zoom = .15f;         // each axis by 1 - zoom .. 1 + zoom, independently
  float width_shift = .2f;   // share of the width, either way
  float height_shift = .2f;  // share of the height, either way
  float shear = .15f;        // degrees, either way (Keras takes degrees)
  bool horizontal_flip = true;

  float brightness = 0;  // adds up to this share of white, either way
  float contrast = 0;    // multiplies by 1 - contrast .. 1 + contrast about mid grey
  float saturation = 0;  // multiplies by 1 - saturation .. 1 + saturation
  float hue = 0;         // degrees, either way
  float grey = 0;        // chance that colour is lost
  float blur = 0;        // largest standard deviation in pixels; half of the pictures are blurred
  float low_resolution =
      0;            // largest factor - 1 to shrink and enlarge again by; half of the pictures
  float noise = 0;  // largest standard deviation in grey levels; half of the pictures
  float jpeg = 0;   // chance of having been a JPEG of quality 20..80
  float random_erasing = 0;  // chance that a rectangle of 2..20 % is noise
  float turned = 0;          // chance of a turn by 90, 180 or 270 degrees
};

// One draw. The default leaves a picture as it is.
struct AugmentParameters {
  float rotation = 0;              // degrees
  float shift_x = 0, shift_y = 0;  // share of the size
  float shear = 0;                 // degrees
  float zoom_x = 1, zoom_y = 1;    // above one the picture shrinks, as in Keras
  bool flip = false;
  float brightness = 0;
  float contrast = 1, saturation = 1;  // saturation 0 is grey
  float hue = 0;                       // degrees
  float blur = 0;                      // standard deviation, pixels
  float low_resolution = 1;            // factor
  float noise = 0;                     // standard deviation, grey levels
  int jpeg_quality = 0;                // 0: none
  Box erased;                          // shares of the size; width 0: none
  std::uint64_t noise_key = 0;
};

// The numbers for picture `index` in `epoch`: they depend on the arguments alone, on any thread.
AugmentParameters draw_augmentation(const AugmentOptions& options, std::uint64_t seed,
                                    std::uint64_t epoch, std::uint64_t index);

// `out` becomes `in`, varied, in the same size; its memory is reused. The warp is Keras's: rotation
// x shift x shear x zoom about ((height - 1) / 2, (width - 1) / 2) maps output to input positions,
// bilinear, the border's pixels continued ("nearest"), then the flip. In fixed point: the same
// bytes on every SIMD target.
// Throws std::invalid_argument unless `in` is an RGB picture that is not `out`, and for parameters
// that make no finite warp.
void augment(const Image& in, const AugmentParameters& parameters, Image& out);

// Gaussian blur of the given standard deviation in pixels, border pixels continued.
void blur(Image& image, float sigma);

// Adds noise of the given standard deviation in grey levels; it depends on the size and `key`
// alone.
void add_noise(Image& image, float sigma, std::uint64_t key);

}  // namespace maskwatch::vision
