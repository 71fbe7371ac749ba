#include "vision/image/network_input.h"

#include <fmt/format.h>

#include <stdexcept>

namespace maskwatch::vision {

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
  if (image.empty() || image.channels != 3)
    throw std::invalid_argument(fmt::format("to_network_input: {}x{}x{}, but RGB is needed",
                                            image.width, image.height, image.channels));
  std::array<float, 3> scale, offset;
  switch (preprocessing) {
    case nn::Preprocessing::tf:
      scale.fill(1 / 127.5f);
      offset.fill(-1);
      break;
    case nn::Preprocessing::unit:
      scale.fill(1 / 255.0f);
      offset.fill(0);
      break;
    case nn::Preprocessing::imagenet:
      for (std::size_t c = 0; c < 3; ++c) {
        scale[c] = 1 / (255 * nn::kImagenetStd[c]);
        offset[c] = -nn::kImagenetMean[c] / nn::kImagenetStd[c];
      }
  }
  const std::size_t samples = static_cast<std::size_t>(image.width) * 3;
  if (image.stride == samples) {
    scale_samples({image.pixels, samples * image.height}, scale, offset, out);
    return;
  }
  for (int y = 0; y < image.height; ++y, out += samples)
    scale_samples({image.row(y), samples}, scale, offset, out);
}

}  // namespace maskwatch::vision
