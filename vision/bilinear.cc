#include "vision/bilinear.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace vision {
namespace {

constexpr int kFractionBits = 11;
constexpr int kOne = 1 << kFractionBits;

// Where an output position lies on the input axis: between `first` and `second`, `weight` / kOne of
// the way.
struct Sample {
  int first, second, weight;
};

std::vector<Sample> sample_axis(int in, int out) {
  std::vector<Sample> samples;
  const double step = static_cast<double>(in) / out;
  for (int i = 0; i < out; ++i) {
    const double position = std::clamp((i + 0.5) * step - 0.5, 0.0, in - 1.0);
    const int first = static_cast<int>(position);
    const int weight = static_cast<int>(std::lround((position - first) * kOne));
    samples.push_back({first, std::min(first + 1, in - 1), weight});
  }
  return samples;
}

}  // namespace

Image resize_bilinear(const Image& image, int width, int height) {
  if (image.empty() || width < 1 || height < 1)
    throw std::invalid_argument("resize_bilinear: an empty picture");
  const std::vector<Sample> columns = sample_axis(image.width, width);
  const std::vector<Sample> rows = sample_axis(image.height, height);
  const int channels = image.channels;
  Image out(width, height, channels);
  std::vector<int> mixed(static_cast<std::size_t>(image.width) * channels);
  for (int y = 0; y < height; ++y) {
    const Sample& row = rows[static_cast<std::size_t>(y)];
    const std::uint8_t *above = image.row(row.first), *below = image.row(row.second);
    for (std::size_t i = 0; i < mixed.size(); ++i)
      mixed[i] = above[i] * (kOne - row.weight) + below[i] * row.weight;
    std::uint8_t* to = out.row(y);
    for (const Sample& column : columns) {
      const int* left = mixed.data() + column.first * channels;
      const int* right = mixed.data() + column.second * channels;
      for (int c = 0; c < channels; ++c) {
        const std::int64_t sum =
            std::int64_t{left[c]} * (kOne - column.weight) + std::int64_t{right[c]} * column.weight;
        *to++ = static_cast<std::uint8_t>((sum + kOne * kOne / 2) >> (2 * kFractionBits));
      }
    }
  }
  return out;
}

}  // namespace vision
