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

// The same for an `out` of height x width x 3 floats, at least as large as the picture, which lies
// at its left and top; around it all samples are `padding`. std::invalid_argument if it is smaller.
void to_network_input(const ImageView& image, int width, int height, std::uint8_t padding,
                      float* out, nn::Preprocessing preprocessing);

}  // namespace maskwatch::vision
