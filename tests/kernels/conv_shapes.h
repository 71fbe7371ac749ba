// Shapes of convolutions that more than one file of cases uses.
#pragma once

#include <string>
#include <vector>

#include "tests/kernels/cases.h"

namespace maskwatch::kernel_cases {

struct Geometry {
  std::int64_t batch, height, width, in_channels, out_channels;
  int kernel, stride, pad;
};

inline ConvShape conv_shape(Geometry g) {
  const auto positions = [&](std::int64_t size) {
    return (size + 2 * g.pad - g.kernel) / g.stride + 1;
  };
  return {.batch = g.batch,
          .in_height = g.height,
          .in_width = g.width,
          .in_channels = g.in_channels,
          .out_height = positions(g.height),
          .out_width = positions(g.width),
          .out_channels = g.out_channels,
          .kernel_height = g.kernel,
          .kernel_width = g.kernel,
          .stride = g.stride,
          .pad_top = g.pad,
          .pad_left = g.pad};
}

// Keras: 'same' padding of an even size at stride 2 is (0, 1).
inline ConvShape keras_shape(std::int64_t batch, std::int64_t size, std::int64_t in,
                             std::int64_t out) {
  return {.batch = batch,
          .in_height = size,
          .in_width = size,
          .in_channels = in,
          .out_height = size / 2,
          .out_width = size / 2,
          .out_channels = out,
          .stride = 2,
          .pad_top = 0,
          .pad_left = 0};
}

inline ConvShape dilated(ConvShape s, int dilation) {
  s.dilation = dilation;
  s.out_height = (s.in_height + 2 * s.pad_top - 2 * dilation - 1) / s.stride + 1;
  s.out_width = (s.in_width + 2 * s.pad_left - 2 * dilation - 1) / s.stride + 1;
  return s;
}

inline std::string label(const ConvShape& s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.in_height) + "x" +
         std::to_string(s.in_width) + "x" + std::to_string(s.in_channels) + " to " +
         std::to_string(s.out_channels) + " k" + std::to_string(s.kernel_height) + " s" +
         std::to_string(s.stride) + " p" + std::to_string(s.pad_top);
}

inline std::vector<ConvShape> depthwise_shapes() {
  return {conv_shape({1, 1, 1, 1, 1, 3, 1, 1}),
          conv_shape({2, 5, 4, 3, 3, 3, 1, 1}),
          conv_shape({1, 7, 9, 17, 17, 3, 2, 1}),
          conv_shape({1, 6, 6, 33, 33, 3, 1, 1}),
          keras_shape(2, 8, 16, 16),
          conv_shape({1, 3, 31, 15, 15, 3, 1, 1}),
          conv_shape({1, 6, 36, 34, 34, 3, 2, 1}),
          conv_shape({2, 2, 2, 5, 5, 3, 1, 1}),
          conv_shape({1, 7, 8, 4, 4, 3, 1, 0}),
          conv_shape({1, 4, 3, 6, 6, 3, 1, 2}),
          conv_shape({1, 7, 7, 3, 3, 3, 3, 1}),
          dilated(conv_shape({1, 8, 7, 18, 18, 3, 1, 2}), 2)};
}

}  // namespace maskwatch::kernel_cases
