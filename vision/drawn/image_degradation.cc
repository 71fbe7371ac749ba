#include "vision/drawn/image_degradation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "vision/image/augment.h"

namespace maskwatch::vision {
namespace {

float grey(const std::uint8_t* rgb) { return .299f * rgb[0] + .587f * rgb[1] + .114f * rgb[2]; }

float median(std::vector<float> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Greys of at most about 256x256 pixels from the middle of the area.
struct Grey {
  int width, height, left, top;
  std::vector<float> value;
  float at(int x, int y) const { return value[static_cast<std::size_t>(y) * width + x]; }
};

Grey grey_part(const Image& image, const PixelBox& area) {
  const int width = std::min(area.width, 256), height = std::min(area.height, 256);
  Grey out{
      width, height, area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      out.value.push_back(grey(image.at(out.left + x, out.top + y)));
    }
  }
  return out;
}

// Immerkaer, "Fast noise variance estimation", 1996, with a median, since a face has edges.
float noise_of(const Grey& g) {
  std::vector<float> responses;
  for (int y = 1; y + 1 < g.height; ++y)
    for (int x = 1; x + 1 < g.width; ++x)
      responses.push_back(
          std::abs(g.at(x - 1, y - 1) + g.at(x + 1, y - 1) + g.at(x - 1, y + 1) +
                   g.at(x + 1, y + 1) + 4 * g.at(x, y) -
                   2 * (g.at(x, y - 1) + g.at(x, y + 1) + g.at(x - 1, y) + g.at(x + 1, y))));
  return median(std::move(responses)) / .6745f / 6;
}

// The steepness that only a hundredth of the pixels exceed.
float steep_edges(const Grey& g) {
  std::vector<float> slopes;
  for (int y = 1; y + 1 < g.height; ++y)
    for (int x = 1; x + 1 < g.width; ++x)
      slopes.push_back(
          std::hypot(g.at(x + 1, y) - g.at(x - 1, y), g.at(x, y + 1) - g.at(x, y - 1)) / 2);
  const auto place = slopes.begin() + static_cast<std::ptrdiff_t>(slopes.size() * 99 / 100);
  std::nth_element(slopes.begin(), place, slopes.end());
  return *place;
}

// Zhuo and Sim, "Defocus map estimation from a single image", 2011: blurred once more by a known
// amount, blurred edges lose less than sharp ones.
float blur_of(const Grey& g) {
  constexpr float again = 1;
  Image copy(g.width, g.height, 1);
  for (std::size_t i = 0; i < g.value.size(); ++i)
    copy.pixels[i] = static_cast<std::uint8_t>(std::lround(g.value[i]));
  blur(copy, again);
  Grey blurred = g;
  for (std::size_t i = 0; i < g.value.size(); ++i) blurred.value[i] = copy.pixels[i];
  const float before = steep_edges(g), after = steep_edges(blurred);
  if (before < 4 || after <= 0) return 0;
  const float ratio = std::max(before / after, 1.02f);
  return std::min(again / std::sqrt(ratio * ratio - 1), 4.f);
}

// Mean step across the borders of JPEG's blocks over that elsewhere, less one. Wang, Bovik and
// Evans, "Blind measurement of blocking artifacts in images", 2000, in its simplest form.
float blocking_of(const Grey& g) {
  double border = 0, inside = 0;
  int border_count = 0, inside_count = 0;
  const auto add = [&](int place, float step) {
    if (place % 8 == 0) {
      border += std::min(step, 24.f);
      ++border_count;
    } else {
      inside += std::min(step, 24.f);
      ++inside_count;
    }
  };
  for (int y = 1; y < g.height; ++y) {
    for (int x = 1; x < g.width; ++x) {
      add(g.left + x, std::abs(g.at(x, y) - g.at(x - 1, y)));
      add(g.top + y, std::abs(g.at(x, y) - g.at(x, y - 1)));
    }
  }
  if (border_count == 0 || inside_count == 0) return 0;
  const double usual = std::max(inside / inside_count, .25);
  return static_cast<float>(std::max(0.0, border / border_count / usual - 1));
}

}  // namespace

ImageDegradation measure_degradation(const Image& image, const PixelBox& area) {
  if (area.width < 8 || area.height < 8) return {};
  const Grey g = grey_part(image, area);
  return {blur_of(g), noise_of(g), blocking_of(g)};
}

int jpeg_quality_of(const ImageDegradation& degradation) {
  if (degradation.blocking < .06f) return 100;
  return std::clamp(static_cast<int>(std::lround(92 - 90 * degradation.blocking)), 25, 92);
}

}  // namespace maskwatch::vision
