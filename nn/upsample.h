// Up-sampling by 2 on raw memory, each value repeated, and its gradient; NHWC. Odd sizes leave out
// the last repetition.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/parallel.h"

namespace maskwatch::nn {

// y[batch, height, width, channels] from x[batch, (height + 1) / 2, (width + 1) / 2, channels].
inline void upsample2x(float* y, const float* x, std::int64_t batch, std::int64_t height,
                       std::int64_t width, std::int64_t channels) {
  const std::int64_t in_height = (height + 1) / 2, in_width = (width + 1) / 2;
  // One task a row of y.
  parallel_for(batch * height, [&](std::int64_t row) {
    const float* from = x + (row / height * in_height + row % height / 2) * in_width * channels;
    float* to = y + row * width * channels;
    for (std::int64_t column = 0; column < width; ++column)
      to = std::copy_n(from + column / 2 * channels, channels, to);
  });
}

// dx, of x's shape, is the sum of what dy has where a value was repeated.
inline void upsample2x_backward(float* dx, const float* dy, std::int64_t batch, std::int64_t height,
                                std::int64_t width, std::int64_t channels) {
  const std::int64_t in_height = (height + 1) / 2, in_width = (width + 1) / 2;
  // One task a row of dx.
  parallel_for(batch * in_height, [&](std::int64_t row) {
    float* to = dx + row * in_width * channels;
    std::fill_n(to, in_width * channels, 0.0f);
    const std::int64_t first = row % in_height * 2, end = std::min(first + 2, height);
    for (std::int64_t i = first; i < end; ++i)
      for (std::int64_t column = 0; column < width; ++column) {
        float* sum = to + column / 2 * channels;
        const float* part = dy + ((row / in_height * height + i) * width + column) * channels;
        for (std::int64_t c = 0; c < channels; ++c) sum[c] += part[c];
      }
  });
}

}  // namespace maskwatch::nn
