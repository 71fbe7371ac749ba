// From bytes of pixels to the floats that a network takes.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "nn/preprocessing.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

// out[i] = in[i] * scale[i % 3] + offset[i % 3]; `out` is as long as `in`.
void scale_samples(std::span<const std::uint8_t> in, const std::array<float, 3>& scale,
                   const std::array<float, 3>& offset, float* out);

// `out` holds height x width x 3 floats in the order of `image`'s pixels. Throws
// std::invalid_argument for a picture that is empty or not RGB.
void to_network_input(const ImageView& image, float* out, nn::Preprocessing preprocessing);

}  // namespace maskwatch::vision
