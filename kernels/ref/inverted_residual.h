// Reference inverted residual block and last layer: the layers one after another. A pack holds the
// arguments of pack_inverted_residual one after another.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/scalar.h"
#include "kernels/table.h"

namespace maskwatch::kernels::ref {

template <typename T>
void pack_inverted_residual(T* packed, const T* expand, const T* expand_bias, const T* depthwise,
                            const T* depthwise_bias, const T* project, const T* project_bias,
                            InvertedResidualShape s) {
  const auto append = [&](const T* from, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) *packed++ = from[i];
  };
  if (s.expand) append(expand, s.expand_steps() * s.expanded_channels);
  if (s.expand) append(expand_bias, s.expanded_channels);
  append(depthwise, 9 * s.expanded_channels);
  append(depthwise_bias, s.expanded_channels);
  append(project, s.expanded_channels * s.out_channels);
  append(project_bias, s.out_channels);
}

template <typename T>
void inverted_residual(T* y, const T* x, const T* packed, InvertedResidualShape s) {
  const std::int64_t in = s.batch * s.middle_height() * s.middle_width();
  const std::int64_t out = s.batch * s.out_height * s.out_width;
  const std::int64_t channels = s.expanded_channels;
  std::vector<T> expanded(x, x + (s.expand ? 0 : in * channels)), filtered(out * channels);
  if (s.expand) {
    expanded.resize(in * channels);
    const T* bias = packed + s.expand_steps() * channels;
    table<T>().conv2d(expanded.data(), x, packed, bias, s.activation, s.expand_shape(channels));
    packed = bias + channels;
  }
  table<T>().depthwise3x3(filtered.data(), expanded.data(), packed, packed + 9 * channels,
                          s.activation, s.depthwise_shape(channels));
  packed += 10 * channels;
  table<T>().packed_gemm(y, filtered.data(), packed, packed + channels * s.out_channels,
                         s.residual ? x : nullptr, s.out_activation,
                         {.m = out, .n = s.out_channels, .k = channels});
}

template <typename T>
void pointwise_average_pool(T* y, const T* x, const T* packed, const T* bias, Activation activation,
                            std::int64_t positions, GemmShape s) {
  std::vector<T> rows(s.m * s.n);
  table<T>().packed_gemm(rows.data(), x, packed, bias, nullptr, activation, s);
  table<T>().global_average_pool(y, rows.data(), {s.m / positions, positions, s.n});
}

}  // namespace maskwatch::kernels::ref
