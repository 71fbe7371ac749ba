// Reference softmax and losses on logits. Exponents are taken of non-positive numbers only, so
// nothing overflows.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/table.h"

namespace maskwatch::kernels::ref {

template <typename T>
T row_maximum(const T* x, std::int64_t count) {
  T maximum = x[0];
  for (std::int64_t i = 1; i < count; ++i) maximum = x[i] > maximum ? x[i] : maximum;
  return maximum;
}

// y[count] = softmax of one row x[count], count > 0. Returns the sum that it divides by, of
// exponents relative to row_maximum(x). In place allowed.
template <typename T>
T softmax_row(T* y, const T* x, std::int64_t count) {
  const T maximum = row_maximum(x, count);
  T sum = 0;
  for (std::int64_t c = 0; c < count; ++c) sum += y[c] = std::exp(x[c] - maximum);
  for (std::int64_t c = 0; c < count; ++c) y[c] /= sum;
  return sum;
}

template <typename T>
void softmax(T* y, const T* x, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r, x += s.channels, y += s.channels)
    softmax_row(y, x, s.channels);
}

template <typename T>
void softmax_backward(T* dx, const T* dy, const T* y, RowShape s) {
  for (std::int64_t r = 0; r < s.rows; ++r, dx += s.channels, dy += s.channels, y += s.channels) {
    T dot = 0;
    for (std::int64_t c = 0; c < s.channels; ++c) dot += dy[c] * y[c];
    for (std::int64_t c = 0; c < s.channels; ++c) dx[c] = y[c] * (dy[c] - dot);
  }
}

template <typename T>
void softmax_cross_entropy(T* loss, const T* logits, const T* targets, RowShape s) {
  T total = 0;
  for (std::int64_t r = 0; r < s.rows; ++r, logits += s.channels, targets += s.channels) {
    const T maximum = row_maximum(logits, s.channels);
    T sum = 0;
    for (std::int64_t c = 0; c < s.channels; ++c) sum += std::exp(logits[c] - maximum);
    const T log_sum = std::log(sum);
    for (std::int64_t c = 0; c < s.channels; ++c) {
      // Not infinite, so that a target of 0 takes nothing of it.
      const T below = std::max(logits[c] - maximum, std::numeric_limits<T>::lowest());
      total += targets[c] * (log_sum - below) / T(s.rows);
    }
  }
  loss[0] = total;
}

template <typename T>
void softmax_cross_entropy_backward(T* dlogits, const T* dloss, const T* logits, const T* targets,
                                    RowShape s) {
  softmax(dlogits, logits, s);
  for (std::int64_t r = 0; r < s.rows; ++r) {
    T weight = 0;
    for (std::int64_t c = 0; c < s.channels; ++c) weight += targets[r * s.channels + c];
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const std::int64_t i = r * s.channels + c;
      dlogits[i] = dloss[0] * (weight * dlogits[i] - targets[i]) / T(s.rows);
    }
  }
}

template <typename T>
void binary_cross_entropy(T* loss, const T* logits, const T* targets, RowShape s) {
  T total = 0;
  const std::int64_t count = s.rows * s.channels;
  for (std::int64_t i = 0; i < count; ++i) {
    const T z = logits[i];
    total += (z > 0 ? z : T(0)) - z * targets[i] + std::log1p(std::exp(-std::abs(z)));
  }
  loss[0] = total / T(count);
}

template <typename T>
void binary_cross_entropy_backward(T* dlogits, const T* dloss, const T* logits, const T* targets,
                                   RowShape s) {
  const std::int64_t count = s.rows * s.channels;
  for (std::int64_t i = 0; i < count; ++i) {
    const T e = std::exp(-std::abs(logits[i]));
    const T sigmoid = logits[i] >= 0 ? T(1) / (T(1) + e) : e / (T(1) + e);
    dlogits[i] = dloss[0] * (sigmoid - targets[i]) / T(count);
  }
}

}  // namespace maskwatch::kernels::ref
