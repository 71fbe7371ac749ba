// Light, colour and camera of training pictures, varied at random: detector and classifier are to
// work in dusk, under coloured lamps and on poor cameras.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/random.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

// One draw of light and colour. The default leaves a picture as it is.
struct Light {
  double gamma = 1, brightness = 1, contrast = 1;
  std::array<double, 3> cast{1, 1, 1};  // factors of R, G, B
  double saturation = 1;                // 0: grey
};
Light draw_light(Random& random);
// The same, and as often under a lamp: bluer or more orange, as far as the lights named so below.
Light draw_lamp_light(Random& random);

// Of an RGB picture: value^gamma, times brightness and cast, contrast about mid grey, saturation
// about the pixel's own grey.
void apply_light(vision::Image& image, const Light& light);

// Lights to judge a model in, always the same.
inline constexpr std::array<const char*, 6> kNamedLights{"none", "dark",   "bright",
                                                         "blue", "orange", "grey"};
// Throws std::invalid_argument for a name that is none of them.
Light light_named(const std::string& name);

// One draw of what a camera and a file do. The default leaves a picture as it is.
struct Camera {
  double low_resolution = 1;  // shrunk and enlarged again by this factor
  double blur = 0;            // standard deviation, pixels
  double noise = 0;           // standard deviation, grey levels
  int jpeg_quality = 0;       // 0: not
  std::uint64_t noise_key = 0;
};
Camera draw_camera(Random& random);
void apply_camera(vision::Image& image, const Camera& camera);

}  // namespace maskwatch::apps
