#include "vision/image/network_input.h"

#include <fmt/format.h>

#include <stdexcept>
#include <vector>

namespace maskwatch::vision {
namespace {

// Of each channel.
struct Scaling {
  std::array<float, 3> scale, offset;
};

Scaling scaling_of(nn::Preprocessing preprocessing) {
  Scaling scaling{};
  switch (preprocessing) {
    case nn::Preprocessing::tf:
      scaling.scale.fill(1 / 127.5f);
      scaling.offset.fill(-1);
      break;
    case nn::Preprocessing::unit:
      scaling.scale.fill(1 / 255.0f);
      break;
    case nn::Preprocessing::imagenet:
      for (std::size_t c = 0; c < 3; ++c) {
        scaling.scale[c] = 1 / (255 * nn::kImagenetStd[c]);
        scaling.offset[c] = -nn::kImagenetMean[c] / nn::kImagenetStd[c];
      }
  }
  return scaling;
}

}  // namespace

void scale_samples(std::span<const std::uint8_t> in, const std::array<float, 3>& scale,
                   const std::array<float, 3>& offset, float* out) {
  // Values at a time: a multiple of a vector's lanes and of a pixel's samples; the compiler turns
  // the inner loop into vectors.
  constexpr std::size_t run = 48;
  float scales[run], offsets[run];
  for (std::size_t i = 0; i < run; ++i) {
    scales[i] = scale[i % 3];
    offsets[i] = offset[i % 3];
  }
  const std::uint8_t* from = in.data();
  std::size_t left = in.size();
  for (; left >= run; left -= run, from += run, out += run)
    for (std::size_t i = 0; i < run; ++i)
      out[i] = static_cast<float>(from[i]) * scales[i] + offsets[i];
  for (std::size_t i = 0; i < left; ++i)
    out[i] = static_cast<float>(from[i]) * scales[i] + offsets[i];
}

void to_network_input(const ImageView& image, float* out, nn::Preprocessing preprocessing) {
  to_network_input(image, image.width, image.height, 0, out, preprocessing);
}

void to_network_input(const ImageView& image, int width, int height, std::uint8_t padding,
                      float* out, nn::Preprocessing preprocessing) {
  if (image.empty() || image.channels != 3)
    throw std::invalid_argument(fmt::format("to_network_input: {}x{}x{}, but RGB is needed",
                                            image.width, image.height, image.channels));
  if (width < image.width || height < image.height)
    throw std::invalid_argument(fmt::format("to_network_input: {}x{} into {}x{}", image.width,
                                            image.height, width, height));
  const auto [scale, offset] = scaling_of(preprocessing);
  const std::size_t samples = static_cast<std::size_t>(image.width) * 3;
  const std::size_t row = static_cast<std::size_t>(width) * 3;
  if (samples == row && image.stride == row) {
    scale_samples({image.pixels, row * image.height}, scale, offset, out);
    out += row * image.height;
  } else {
    const std::vector<std::uint8_t> rest(row - samples, padding);
    for (int y = 0; y < image.height; ++y, out += row) {
      scale_samples({image.row(y), samples}, scale, offset, out);
      scale_samples(rest, scale, offset, out + samples);
    }
  }
  if (height == image.height) return;
  const std::vector<std::uint8_t> below(row, padding);
  for (int y = image.height; y < height; ++y, out += row) scale_samples(below, scale, offset, out);
}

}  // namespace maskwatch::vision
