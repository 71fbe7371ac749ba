// Reference elementwise operations, bias, dropout, pooling and up-sampling.
#pragma once

#include <algorithm>

#include "kernels/scalar.h"
#include "kernels/table.h"

namespace maskwatch::kernels::ref {

template <typename T>
void relu(T* y, const T* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = scalar::relu(x[i]);
}

template <typename T>
void relu_backward(T* dx, const T* dy, const T* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) dx[i] = scalar::relu_backward(dy[i], x[i]);
}

template <typename T>
void relu6(T* y, const T* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = scalar::relu6(x[i]);
}

template <typename T>
void relu6_backward(T* dx, const T* dy, const T* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) dx[i] = scalar::relu6_backward(dy[i], x[i]);
}

template <typename T>
void add(T* y, const T* a, const T* b, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

template <typename T>
void sigmoid(T* y, const T* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = scalar::sigmoid(x[i]);
}

template <typename T>
void scale(T* y, const T* x, double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = T(factor) * x[i];
}

template <typename T>
void add_bias(T* y, const T* x, const T* bias, RowShape s) {
  for (std::int64_t i = 0; i < s.rows * s.channels; ++i) y[i] = x[i] + bias[i % s.channels];
}

template <typename T>
void add_bias_backward(T* dbias, const T* dy, RowShape s) {
  for (std::int64_t c = 0; c < s.channels; ++c) {
    dbias[c] = 0;
    for (std::int64_t r = 0; r < s.rows; ++r) dbias[c] += dy[r * s.channels + c];
  }
}

template <typename T>
void dropout(T* y, const T* x, double rate, std::uint64_t seed, std::int64_t count) {
  const std::uint32_t threshold = scalar::dropout_threshold(rate);
  for (std::int64_t i = 0; i < count; ++i)
    y[i] = scalar::dropout_keeps(seed, i, threshold) ? x[i] * T(1 / (1 - rate)) : T(0);
}

template <typename T>
void global_average_pool(T* y, const T* x, PoolShape s) {
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t c = 0; c < s.channels; ++c) {
      T sum = 0;
      for (std::int64_t p = 0; p < s.positions; ++p)
        sum += x[(b * s.positions + p) * s.channels + c];
      y[b * s.channels + c] = sum / T(s.positions);
    }
}

template <typename T>
void global_average_pool_backward(T* dx, const T* dy, PoolShape s) {
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t p = 0; p < s.positions; ++p)
      for (std::int64_t c = 0; c < s.channels; ++c)
        dx[(b * s.positions + p) * s.channels + c] = dy[b * s.channels + c] / T(s.positions);
}

// body(i, j): y[i] is a repetition of x[j].
template <typename Body>
void for_each_repetition(const UpsampleShape& s, const Body& body) {
  for (std::int64_t b = 0, i = 0; b < s.batch; ++b)
    for (std::int64_t row = 0; row < s.height; ++row)
      for (std::int64_t column = 0; column < s.width; ++column)
        for (std::int64_t c = 0; c < s.channels; ++c, ++i)
          body(i, ((b * s.in_height() + row / 2) * s.in_width() + column / 2) * s.channels + c);
}

template <typename T>
void upsample2x(T* y, const T* x, UpsampleShape s) {
  for_each_repetition(s, [=](std::int64_t i, std::int64_t j) { y[i] = x[j]; });
}

template <typename T>
void upsample2x_backward(T* dx, const T* dy, UpsampleShape s) {
  std::fill_n(dx, s.inputs(), T(0));
  for_each_repetition(s, [=](std::int64_t i, std::int64_t j) { dx[j] += dy[i]; });
}

template <typename T>
void copy_rows(T* y, std::int64_t y_stride, const T* x, std::int64_t x_stride, RowShape s) {
  for (std::int64_t row = 0; row < s.rows; ++row)
    for (std::int64_t c = 0; c < s.channels; ++c) y[row * y_stride + c] = x[row * x_stride + c];
}

}  // namespace maskwatch::kernels::ref
