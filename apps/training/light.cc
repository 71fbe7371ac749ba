#include "apps/training/light.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "vision/image/augment.h"
#include "vision/image/codec.h"
#include "vision/image/resize.h"

namespace maskwatch::apps {
namespace {

using vision::Image;

std::uint8_t to_byte(double value) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
}

std::array<std::uint8_t, 256> curve_of(const Light& light, double cast) {
  std::array<std::uint8_t, 256> curve{};
  for (int i = 0; i < 256; ++i) {
    const double lit = 255 * std::pow(i / 255.0, light.gamma) * light.brightness * cast;
    curve[static_cast<std::size_t>(i)] = to_byte((lit - 128) * light.contrast + 128);
  }
  return curve;
}

void saturate(Image& image, double saturation) {
  const int share = static_cast<int>(std::lround(saturation * 256));
  for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    std::uint8_t* const pixel = &image.pixels[i];
    const int grey = (77 * pixel[0] + 150 * pixel[1] + 29 * pixel[2] + 128) >> 8;
    for (int c = 0; c < 3; ++c)
      pixel[c] = static_cast<std::uint8_t>(
          std::clamp(grey + (((pixel[c] - grey) * share + 128) >> 8), 0, 255));
  }
}

}  // namespace

Light draw_light(Random& random) {
  Light light;
  if (random.chance(0.5)) light.gamma = std::exp(random.uniform(-0.4, 0.4));
  if (random.chance(0.7)) light.brightness = std::exp(random.uniform(-0.9, 0.5));
  if (random.chance(0.5)) light.contrast = random.uniform(0.6, 1.4);
  if (random.chance(0.4))
    for (double& factor : light.cast) factor = std::exp(random.uniform(-0.35, 0.35));
  if (random.chance(0.3)) light.saturation = random.uniform(0.3, 1.6);
  if (random.chance(0.1)) light.saturation = 0;
  return light;
}

Light draw_lamp_light(Random& random) {
  Light light = draw_light(random);
  if (random.chance(0.5)) {
    const double warmth = random.uniform(-0.5, 0.5);
    light.cast[0] *= std::exp(warmth);
    light.cast[2] *= std::exp(-warmth);
  }
  return light;
}

void apply_light(Image& image, const Light& light) {
  const auto red = curve_of(light, light.cast[0]), green = curve_of(light, light.cast[1]),
             blue = curve_of(light, light.cast[2]);
  for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    image.pixels[i] = red[image.pixels[i]];
    image.pixels[i + 1] = green[image.pixels[i + 1]];
    image.pixels[i + 2] = blue[image.pixels[i + 2]];
  }
  if (light.saturation != 1) saturate(image, light.saturation);
}

Light light_named(const std::string& name) {
  Light light;
  if (name == "dark")
    light.brightness = 0.35;
  else if (name == "bright")
    light.brightness = 1.7;
  else if (name == "blue")
    light.cast = {0.7, 0.8, 1.3};
  else if (name == "orange")
    light.cast = {1.3, 0.85, 0.55};
  else if (name == "grey")
    light.saturation = 0;
  else if (name != "none")
    throw std::invalid_argument("light_named: there is no light \"" + name + "\"");
  return light;
}

Camera draw_camera(Random& random) {
  Camera camera;
  if (random.chance(0.15)) camera.low_resolution = random.uniform(1.2, 2.5);
  if (random.chance(0.15)) camera.blur = random.uniform(0.3, 1.6);
  if (random.chance(0.2)) camera.noise = random.uniform(2, 16);
  if (random.chance(0.25)) camera.jpeg_quality = 20 + random.below(66);
  camera.noise_key = random.bits();
  return camera;
}

void apply_camera(Image& image, const Camera& camera) {
  if (camera.low_resolution > 1) {
    const auto smaller = [&](int side) {
      return std::max(1, static_cast<int>(std::lround(side / camera.low_resolution)));
    };
    image = vision::resize(vision::resize(image, smaller(image.width), smaller(image.height)),
                           image.width, image.height);
  }
  vision::blur(image, static_cast<float>(camera.blur));
  vision::add_noise(image, static_cast<float>(camera.noise), camera.noise_key);
  if (camera.jpeg_quality > 0) {
    const std::string bytes = vision::codec::encode_jpeg(image, camera.jpeg_quality);
    image = vision::decode_image(
        {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, "training crop");
  }
}

}  // namespace maskwatch::apps
