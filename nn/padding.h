// Where a convolution's window starts and how many outputs it gives, in the two styles that
// published weights use.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/shapes.h"

namespace maskwatch::nn {

enum class Padding {
  tf,         // SAME: stride 2 pads an even input only at the bottom and right (Keras, TFLite)
  symmetric,  // (kernel - 1) / 2 on every side (PyTorch)
};

// Along one axis.
struct Window {
  std::int64_t out = 0;  // outputs; 0 where the window does not fit
  int pad_before = 0;    // zeros before the first input
};

inline Window place_window(std::int64_t in, int kernel, int stride, Padding padding) {
  if (padding == Padding::symmetric) {
    const int pad = (kernel - 1) / 2;
    const std::int64_t room = in + 2 * pad - kernel;
    return {room < 0 ? 0 : room / stride + 1, pad};
  }
  const std::int64_t out = (in + stride - 1) / stride;
  const std::int64_t total = std::max<std::int64_t>((out - 1) * stride + kernel - in, 0);
  return {out, static_cast<int>(total / 2)};
}

// The shape of a convolution of x[batch, height, width, in_channels].
inline kernels::ConvShape conv_shape(std::int64_t batch, std::int64_t height, std::int64_t width,
                                     std::int64_t in_channels, std::int64_t out_channels,
                                     int kernel, int stride, Padding padding) {
  const Window rows = place_window(height, kernel, stride, padding);
  const Window columns = place_window(width, kernel, stride, padding);
  kernels::ConvShape shape;
  shape.batch = batch;
  shape.in_height = height;
  shape.in_width = width;
  shape.in_channels = in_channels;
  shape.out_height = rows.out;
  shape.out_width = columns.out;
  shape.out_channels = out_channels;
  shape.kernel_height = shape.kernel_width = kernel;
  shape.stride = stride;
  shape.pad_top = rows.pad_before;
  shape.pad_left = columns.pad_before;
  return shape;
}

}  // namespace maskwatch::nn
