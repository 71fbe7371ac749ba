#include "apps/masking/augmented_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/random.h"
#include "vision/image/augment.h"
#include "vision/image/resize.h"

namespace maskwatch::apps {
namespace {

constexpr float kLargestSide = 1 << 13, kFarthest = 1 << 20;

using vision::Box;
using vision::Image;

// What face detectors call a face: from above the brows to the chin, ear to ear.
Box face_of(const std::array<vision::Point, 68>& landmarks) {
  float left = landmarks[0].x, right = left, top = landmarks[0].y, bottom = top;
  for (const vision::Point& p : landmarks) {
    left = std::min(left, p.x);
    right = std::max(right, p.x);
    top = std::min(top, p.y);
    bottom = std::max(bottom, p.y);
  }
  const float forehead = .35f * (bottom - top);
  return {left, top - forehead, right - left, bottom - top + forehead};
}

// The face with room of `least` to `most` of its size on each side, each side `apart` from that.
Box with_room(Random& random, const Box& face, double least, double most, double apart) {
  const double middle = random.uniform(least, most);
  const auto room = [&](float side) {
    return side * static_cast<float>(middle + random.uniform(-apart, apart));
  };
  const float left = room(face.width), right = room(face.width);
  const float top = room(face.height), bottom = room(face.height);
  return {face.x - left, face.y - top, std::max(face.width + left + right, 8.f),
          std::max(face.height + top + bottom, 8.f)};
}

int reflect(int at, int count) {
  const int period = 2 * count;
  at = ((at % period) + period) % period;
  return at < count ? at : period - 1 - at;
}

Image cut_out(const Image& photograph, const Box& box) {
  const int left = static_cast<int>(std::lround(box.x)), top = static_cast<int>(std::lround(box.y));
  Image out(std::max(1, static_cast<int>(std::lround(box.width))),
            std::max(1, static_cast<int>(std::lround(box.height))), photograph.channels);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x)
      std::copy_n(
          photograph.at(reflect(left + x, photograph.width), reflect(top + y, photograph.height)),
          out.channels, out.at(x, y));
  return out;
}

Image shrunk(const Image& image, int longest) {
  const double scale = static_cast<double>(longest) / std::max(image.width, image.height);
  if (scale >= 1) return image;
  const auto side = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(length * scale)));
  };
  return vision::resize(image, side(image.width), side(image.height));
}

void relight(Image& image, const AugmentedView& view) {
  std::array<std::array<float, 256>, 3> curve;
  const float tint[] = {1 + .18f * view.warmth, 1, 1 - .18f * view.warmth};
  for (int c = 0; c < 3; ++c)
    for (int value = 0; value < 256; ++value)
      curve[c][value] = 255 * std::pow(static_cast<float>(value) / 255, view.gamma) * tint[c];
  for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    float rgb[3];
    for (int c = 0; c < 3; ++c) rgb[c] = curve[c][image.pixels[i + c]];
    const float grey = .299f * rgb[0] + .587f * rgb[1] + .114f * rgb[2];
    for (int c = 0; c < 3; ++c)
      image.pixels[i + c] = static_cast<std::uint8_t>(
          std::clamp(grey + view.saturation * (rgb[c] - grey) + .5f, 0.f, 255.f));
  }
}

}  // namespace

AugmentedView random_view(std::uint64_t seed, const vision::ImageSize& photograph,
                          const std::vector<std::array<vision::Point, 68>>& faces) {
  Random random{seed, 31};
  AugmentedView view;
  const auto width = static_cast<float>(photograph.width),
             height = static_cast<float>(photograph.height);
  view.box = {0, 0, width, height};
  const double kind = random.uniform();
  if (kind < .85 && !faces.empty()) {
    const Box face =
        face_of(faces[static_cast<std::size_t>(random.below(static_cast<int>(faces.size())))]);
    view.box = kind < .5    ? with_room(random, face, -.06, .2, .1)
               : kind < .65 ? with_room(random, face, -.12, .1, .22)
                            : with_room(random, face, .2, 1.2, .12);
  } else {
    const auto grow = static_cast<float>(random.uniform(.1, .8));
    view.box = {-width * grow * static_cast<float>(random.uniform()),
                -height * grow * static_cast<float>(random.uniform()), width * (1 + grow),
                height * (1 + grow)};
  }
  const float side = std::max(view.box.width, view.box.height);
  if (!(side <= kLargestSide)) view.box = {0, 0, width, height};  // landmarks of a giant
  if (random.chance(.7)) view.longest = static_cast<int>(22 * std::pow(10, random.uniform()));
  if (random.chance(.6)) {
    view.gamma = static_cast<float>(std::exp(random.uniform(-.5, .7)));
    view.warmth = static_cast<float>(random.uniform(-1, 1));
    view.saturation = random.chance(.08) ? 0 : static_cast<float>(random.uniform(.5, 1.5));
  }
  if (random.chance(.35)) view.blur = static_cast<float>(random.uniform(.4, 1.6));
  if (random.chance(.3)) view.noise = static_cast<float>(random.uniform(2, 12));
  if (random.chance(.5)) view.jpeg_quality = 25 + random.below(66);
  view.key = random.bits();
  return view;
}

Image render_view(const Image& photograph, const AugmentedView& view) {
  const vision::Box& box = view.box;
  const auto fits = [](float side) { return side >= 0 && side <= kLargestSide; };
  if (photograph.empty() || photograph.channels != 3 || !fits(box.width) || !fits(box.height) ||
      !(std::abs(box.x) <= kFarthest && std::abs(box.y) <= kFarthest))
    throw std::invalid_argument(fmt::format(
        "render_view: {}x{} at ({}, {}) of a photograph of {}x{}x{}", box.width, box.height, box.x,
        box.y, photograph.width, photograph.height, photograph.channels));
  Image image = cut_out(photograph, view.box);
  if (view.longest > 0) image = shrunk(image, view.longest);
  if (view.gamma != 1 || view.warmth != 0 || view.saturation != 1) relight(image, view);
  vision::AugmentParameters damage;
  damage.blur = view.blur;
  damage.noise = view.noise;
  damage.noise_key = view.key;
  damage.jpeg_quality = view.jpeg_quality;
  Image out;
  vision::augment(image, damage, out);
  return out;
}

}  // namespace maskwatch::apps
