// Reference convolutions. Every function walks the same (output position, kernel tap) pairs.
#pragma once

#include "kernels/scalar.h"
#include "kernels/table.h"

namespace maskwatch::kernels::ref {

// visit(out_row, in_row, tap) for every output position and every kernel tap that lies inside the
// input; rows count positions of the whole batch.
template <typename Visit>
void for_each_tap(const ConvShape& s, const Visit& visit) {
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t oy = 0; oy < s.out_height; ++oy)
      for (std::int64_t ox = 0; ox < s.out_width; ++ox)
        for (int ky = 0; ky < s.kernel_height; ++ky)
          for (int kx = 0; kx < s.kernel_width; ++kx) {
            const std::int64_t iy = oy * s.stride - s.pad_top + ky * s.dilation;
            const std::int64_t ix = ox * s.stride - s.pad_left + kx * s.dilation;
            if (iy < 0 || iy >= s.in_height || ix < 0 || ix >= s.in_width) continue;
            visit((b * s.out_height + oy) * s.out_width + ox,
                  (b * s.in_height + iy) * s.in_width + ix, ky * s.kernel_width + kx);
          }
}

template <typename T>
void fill(T* x, std::int64_t count, T value) {
  for (std::int64_t i = 0; i < count; ++i) x[i] = value;
}

// Bias before, activation after the sums that `accumulate` adds to y.
template <typename T, typename Accumulate>
void with_bias_and_activation(T* y, const T* bias, Activation activation, const ConvShape& s,
                              const Accumulate& accumulate) {
  const std::int64_t count = s.batch * s.out_height * s.out_width * s.out_channels;
  for (std::int64_t i = 0; i < count; ++i) y[i] = bias ? bias[i % s.out_channels] : T(0);
  accumulate();
  for (std::int64_t i = 0; i < count; ++i) y[i] = scalar::activate(y[i], activation);
}

template <typename T>
void conv2d(T* y, const T* x, const T* w, const T* bias, Activation activation, ConvShape s) {
  const std::int64_t ci = s.in_channels, co = s.out_channels;
  with_bias_and_activation(y, bias, activation, s, [&] {
    for_each_tap(s, [&](std::int64_t out, std::int64_t in, int tap) {
      for (std::int64_t i = 0; i < ci; ++i)
        for (std::int64_t o = 0; o < co; ++o)
          y[out * co + o] += x[in * ci + i] * w[(tap * ci + i) * co + o];
    });
  });
}

template <typename T>
void packed_conv2d(T* y, const T* x, const T* packed, const T* bias, Activation activation,
                   ConvShape s) {
  conv2d(y, x, packed, bias, activation, s);
}

template <typename T>
void conv2d_backward_input(T* dx, const T* dy, const T* w, ConvShape s) {
  const std::int64_t ci = s.in_channels, co = s.out_channels;
  fill(dx, s.batch * s.in_height * s.in_width * ci, T(0));
  for_each_tap(s, [&](std::int64_t out, std::int64_t in, int tap) {
    for (std::int64_t i = 0; i < ci; ++i)
      for (std::int64_t o = 0; o < co; ++o)
        dx[in * ci + i] += dy[out * co + o] * w[(tap * ci + i) * co + o];
  });
}

template <typename T>
void conv2d_backward_weight(T* dw, const T* dy, const T* x, ConvShape s) {
  const std::int64_t ci = s.in_channels, co = s.out_channels;
  fill(dw, s.kernel_height * s.kernel_width * ci * co, T(0));
  for_each_tap(s, [&](std::int64_t out, std::int64_t in, int tap) {
    for (std::int64_t i = 0; i < ci; ++i)
      for (std::int64_t o = 0; o < co; ++o)
        dw[(tap * ci + i) * co + o] += dy[out * co + o] * x[in * ci + i];
  });
}

template <typename T>
void depthwise3x3(T* y, const T* x, const T* w, const T* bias, Activation activation, ConvShape s) {
  const std::int64_t c = s.out_channels;
  with_bias_and_activation(y, bias, activation, s, [&] {
    for_each_tap(s, [&](std::int64_t out, std::int64_t in, int tap) {
      for (std::int64_t i = 0; i < c; ++i) y[out * c + i] += x[in * c + i] * w[tap * c + i];
    });
  });
}

template <typename T>
void depthwise3x3_backward_input(T* dx, const T* dy, const T* w, ConvShape s) {
  const std::int64_t c = s.out_channels;
  fill(dx, s.batch * s.in_height * s.in_width * c, T(0));
  for_each_tap(s, [&](std::int64_t out, std::int64_t in, int tap) {
    for (std::int64_t i = 0; i < c; ++i) dx[in * c + i] += dy[out * c + i] * w[tap * c + i];
  });
}

template <typename T>
void depthwise3x3_backward_weight(T* dw, const T* dy, const T* x, ConvShape s) {
  const std::int64_t c = s.out_channels;
  fill(dw, 9 * c, T(0));
  for_each_tap(s, [&](std::int64_t out, std::int64_t in, int tap) {
    for (std::int64_t i = 0; i < c; ++i) dw[tap * c + i] += dy[out * c + i] * x[in * c + i];
  });
}

}  // namespace maskwatch::kernels::ref
