#include "vision/image/augment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "base/random.h"
#include "vision/image/codec.h"
#include "vision/image/resize.h"
#include "vision/image/warp.h"

namespace maskwatch::vision {
namespace {

constexpr double kRadians = std::numbers::pi / 180;

float either_way(Random& random, float range) {
  return static_cast<float>(random.uniform(-range, range));
}

// Keras's matrix with rows first, rewritten for (x, y), the flip folded in.
Affine keras_map(const AugmentParameters& p, int width, int height) {
  const double c = std::cos(p.rotation * kRadians), s = std::sin(p.rotation * kRadians);
  const double shear_cos = std::cos(p.shear * kRadians), shear_sin = std::sin(p.shear * kRadians);
  const double shift_y = p.shift_y * height, shift_x = p.shift_x * width;
  // rotation x shift x shear x zoom, [row][column]
  const double yy = c * p.zoom_y, yx = (-c * shear_sin - s * shear_cos) * p.zoom_x;
  const double xy = s * p.zoom_y, xx = (-s * shear_sin + c * shear_cos) * p.zoom_x;
  const double centre_x = width / 2.0 - 0.5, centre_y = height / 2.0 - 0.5;
  Affine map;
  map.xx = xx;
  map.xy = xy;
  map.x0 = s * shift_y + c * shift_x + centre_x - xx * centre_x - xy * centre_y;
  map.yx = yx;
  map.yy = yy;
  map.y0 = c * shift_y - s * shift_x + centre_y - yx * centre_x - yy * centre_y;
  if (p.flip) {
    map.x0 += map.xx * (width - 1);
    map.y0 += map.yx * (width - 1);
    map.xx = -map.xx;
    map.yx = -map.yx;
  }
  return map;
}

std::uint8_t to_byte(int value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); }

// Hue turns the chroma plane of YIQ; saturation scales it. Rows give R, G, B.
using ColourMatrix = std::array<std::array<double, 3>, 3>;

ColourMatrix colour_matrix(const AugmentParameters& p) {
  const double c = p.saturation * std::cos(p.hue * kRadians);
  const double s = p.saturation * std::sin(p.hue * kRadians);
  constexpr double grey[3] = {.299, .587, .114};
  // d(colour)/d(I, Q) and the sine terms of the standard hue rotation about the grey axis
  constexpr double turn[3][3] = {{-.168, -.330, .497}, {.328, -.035, -.292}, {-1.25, 1.05, .203}};
  ColourMatrix m{};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      m[i][j] = p.contrast * (grey[j] + c * ((i == j ? 1 : 0) - grey[j]) + s * turn[i][j]);
  return m;
}

void change_colours(const AugmentParameters& p, Image& image) {
  if (p.brightness == 0 && p.contrast == 1 && p.saturation == 1 && p.hue == 0) return;
  const ColourMatrix exact = colour_matrix(p);
  int m[3][3];
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) m[i][j] = static_cast<int>(std::lround(exact[i][j] * 4096));
  const int offset =
      static_cast<int>(std::lround((p.brightness * 255 + (1 - p.contrast) * 127.5) * 4096)) + 2048;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    std::uint8_t* const pixel = &image.pixels[i];
    const int r = pixel[0], g = pixel[1], b = pixel[2];
    for (int c = 0; c < 3; ++c)
      pixel[c] = to_byte((m[c][0] * r + m[c][1] * g + m[c][2] * b + offset) >> 12);
  }
}

// Reads sample `at` of a line of `count` samples `step` bytes apart, the ends continued.
void blur_line(std::uint8_t* line, int count, std::size_t step, const std::vector<int>& kernel,
               std::vector<std::uint8_t>& padded) {
  const int radius = static_cast<int>(kernel.size()) / 2;
  padded.resize(count + 2 * radius);
  for (int i = -radius; i < count + radius; ++i)
    padded[i + radius] = line[std::clamp(i, 0, count - 1) * step];
  for (int i = 0; i < count; ++i) {
    int sum = 1 << 15;
    for (std::size_t k = 0; k < kernel.size(); ++k) sum += kernel[k] * padded[i + k];
    line[i * step] = static_cast<std::uint8_t>(sum >> 16);
  }
}

std::vector<int> gaussian_kernel(double sigma) {
  const int radius = std::clamp(static_cast<int>(std::ceil(2.5 * sigma)), 1, 32);
  std::vector<double> weights(2 * radius + 1);
  double total = 0;
  for (int i = -radius; i <= radius; ++i)
    total += weights[i + radius] = std::exp(-0.5 * i * i / (sigma * sigma));
  std::vector<int> kernel;
  int left = 65536;
  for (double weight : weights) {
    kernel.push_back(static_cast<int>(weight / total * 65536));
    left -= kernel.back();
  }
  kernel[radius] += left;
  return kernel;
}

}  // namespace

void blur(Image& image, float sigma) {
  if (!(sigma > 0.05f) || image.empty()) return;
  const std::vector<int> kernel = gaussian_kernel(sigma);
  std::vector<std::uint8_t> padded;
  const int channels = image.channels;
  const std::size_t stride = static_cast<std::size_t>(image.width) * channels;
  for (int y = 0; y < image.height; ++y)
    for (int c = 0; c < channels; ++c)
      blur_line(image.row(y) + c, image.width, channels, kernel, padded);
  for (std::size_t x = 0; x < stride; ++x)
    blur_line(image.pixels.data() + x, image.height, stride, kernel, padded);
}

void add_noise(Image& image, float sigma, std::uint64_t key) {
  if (!(sigma > 0)) return;
  // The sum of two uniform bytes has a standard deviation of 104.5.
  const int scale = static_cast<int>(std::lround(std::min(sigma, 100.f) / 104.5 * 65536));
  Random random{key};
  for (std::size_t i = 0; i < image.pixels.size();) {
    std::uint64_t bits = random.bits();
    for (int k = 0; k < 4 && i < image.pixels.size(); ++k, ++i, bits >>= 16) {
      const int noise = static_cast<int>(bits & 255) + static_cast<int>(bits >> 8 & 255) - 255;
      image.pixels[i] = to_byte(image.pixels[i] + ((noise * scale + 32768) >> 16));
    }
  }
}

namespace {

void lower_resolution(const AugmentParameters& p, Image& image) {
  if (!(p.low_resolution > 1)) return;
  const auto smaller = [&](int size) {
    return std::max(1, static_cast<int>(std::lround(size / p.low_resolution)));
  };
  image =
      resize(resize(image, smaller(image.width), smaller(image.height)), image.width, image.height);
}

void through_jpeg(const AugmentParameters& p, Image& image) {
  if (p.jpeg_quality <= 0) return;
  const std::string bytes = codec::encode_jpeg(image, std::min(p.jpeg_quality, 100));
  image =
      decode_image({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, "augment");
}

void erase(const AugmentParameters& p, Image& image) {
  if (!(p.erased.width > 0)) return;
  Random random{p.noise_key, 1};
  const auto pixel_of = [](float share, int size) {
    return std::clamp(static_cast<int>(share * static_cast<float>(size)), 0, size);
  };
  const int left = pixel_of(p.erased.x, image.width), top = pixel_of(p.erased.y, image.height);
  const int right = pixel_of(p.erased.x + p.erased.width, image.width);
  const int bottom = pixel_of(p.erased.y + p.erased.height, image.height);
  for (int y = top; y < bottom; ++y)
    for (int i = 3 * left; i < 3 * right; ++i)
      image.row(y)[i] = static_cast<std::uint8_t>(random.bits());
}

void draw_extras(const AugmentOptions& options, Random& random, AugmentParameters& p) {
  p.brightness = either_way(random, options.brightness);
  p.contrast = 1 + either_way(random, options.contrast);
  p.saturation = 1 + either_way(random, options.saturation);
  p.hue = either_way(random, options.hue);
  if (random.chance(options.grey)) p.saturation = 0;
  const auto half_of_them = [&](float largest) {
    const double size = random.uniform(0, largest);
    return static_cast<float>(random.chance(.5) ? size : 0);
  };
  p.blur = half_of_them(options.blur);
  p.low_resolution = 1 + half_of_them(options.low_resolution);
  p.noise = half_of_them(options.noise);
  const int quality = 20 + random.below(61);
  if (random.chance(options.jpeg)) p.jpeg_quality = quality;
  const double area = random.uniform(.02, .2), shape = random.uniform(.5, 2);
  const float width = static_cast<float>(std::min(.9, std::sqrt(area * shape)));
  const float height = static_cast<float>(std::min(.9, std::sqrt(area / shape)));
  const Box erased{static_cast<float>(random.uniform(0, 1 - width)),
                   static_cast<float>(random.uniform(0, 1 - height)), width, height};
  if (random.chance(options.random_erasing)) p.erased = erased;
  p.noise_key = random.bits();
  const int quarters = 1 + random.below(3);
  if (random.chance(options.turned)) p.rotation += 90 * static_cast<float>(quarters);
}

}  // namespace

AugmentParameters draw_augmentation(const AugmentOptions& options, std::uint64_t seed,
                                    std::uint64_t epoch, std::uint64_t index) {
  Random random{seed, epoch, index};
  AugmentParameters p;
  p.rotation = either_way(random, options.rotation);
  p.shift_y = either_way(random, options.height_shift);
  p.shift_x = either_way(random, options.width_shift);
  p.shear = either_way(random, options.shear);
  p.zoom_y = 1 + either_way(random, options.zoom);
  p.zoom_x = 1 + either_way(random, options.zoom);
  p.flip = random.chance(.5) && options.horizontal_flip;
  draw_extras(options, random, p);
  return p;
}

void augment(const Image& in, const AugmentParameters& p, Image& out) {
  if (in.empty() || in.channels != 3 || &in == &out)
    throw std::invalid_argument(
        fmt::format("augment: {}x{}x{}, but an RGB picture other than the output is needed",
                    in.width, in.height, in.channels));
  warp_affine(in, keras_map(p, in.width, in.height), in.width, in.height, out);
  lower_resolution(p, out);
  blur(out, p.blur);
  change_colours(p, out);
  add_noise(out, p.noise, p.noise_key);
  through_jpeg(p, out);
  erase(p, out);
}

}  // namespace maskwatch::vision
