// Reference of the operations in int8. A pack holds the arguments of its function one after
// another, biases and factors first.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/quantized.h"

namespace maskwatch::kernels::ref {

using Codes = std::vector<std::int32_t>;

// NaN becomes `low`, as every vector target has it.
inline float clamp_code(float x, float low, float high) {
  const float above = x > low ? x : low;
  return above < high ? above : high;
}

inline std::int32_t quantize(float x, Quantization q) {
  const auto zero = static_cast<float>(q.zero);
  const float code = clamp_code(x * q.inverse_scale, -zero, 255.0f - zero);
  return static_cast<std::int32_t>(std::nearbyint(code)) + q.zero;
}

inline std::int32_t requantize(std::int32_t sum, float factor) {
  const float code = clamp_code(static_cast<float>(sum) * factor, 0.0f, 255.0f);
  return static_cast<std::int32_t>(std::nearbyint(code));
}

inline float dequantize(std::int32_t sum, float factor, Activation activation) {
  float y = static_cast<float>(sum) * factor;
  if (activation != Activation::none) y = y > 0.0f ? y : 0.0f;
  if (activation == Activation::relu6) y = y < 6.0f ? y : 6.0f;
  return y;
}

inline Codes quantize_all(const float* x, std::int64_t count, Quantization q) {
  Codes codes(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) codes[static_cast<std::size_t>(i)] = quantize(x[i], q);
  return codes;
}

// Appends a layer of so many weights and outputs to a pack, and returns its end.
inline std::byte* pack_layer(std::byte* packed, const QuantizedLayer& layer, std::int64_t weights,
                             std::int64_t out) {
  const auto append = [&](const void* from, std::int64_t bytes) {
    std::memcpy(packed, from, static_cast<std::size_t>(bytes));
    packed += bytes;
  };
  append(layer.bias, 4 * out);
  append(layer.factor, 4 * out);
  append(layer.weight, weights);
  return packed + (4 - weights % 4) % 4;
}

// The layer at the beginning of a pack, and where the next one begins.
inline QuantizedLayer unpack_layer(const std::byte*& packed, std::int64_t weights,
                                   std::int64_t out) {
  const QuantizedLayer layer{reinterpret_cast<const std::int8_t*>(packed + 8 * out),
                             reinterpret_cast<const std::int32_t*>(packed),
                             reinterpret_cast<const float*>(packed + 4 * out)};
  packed += 8 * out + (weights + 3) / 4 * 4;
  return layer;
}

// sums[m,n] = bias[n] + codes[m,k] · weight[k,n]
inline Codes multiply(const Codes& codes, const QuantizedLayer& layer, std::int64_t m,
                      std::int64_t n, std::int64_t k) {
  Codes sums(static_cast<std::size_t>(m * n));
  for (std::int64_t row = 0; row < m; ++row)
    for (std::int64_t column = 0; column < n; ++column) {
      std::int32_t sum = layer.bias[column];
      for (std::int64_t i = 0; i < k; ++i)
        sum += codes[static_cast<std::size_t>(row * k + i)] * layer.weight[i * n + column];
      sums[static_cast<std::size_t>(row * n + column)] = sum;
    }
  return sums;
}

// Each position's window of codes [kernel,kernel,channels] as a row; outside the picture lies
// `zero`.
struct Windows {
  std::int64_t height, width, channels, out_height, out_width;
  int kernel, stride, pad_top, pad_left;
};

inline Codes gather(const Codes& codes, const Windows& w, std::int32_t zero) {
  Codes rows;
  for (std::int64_t oy = 0; oy < w.out_height; ++oy)
    for (std::int64_t ox = 0; ox < w.out_width; ++ox)
      for (int ky = 0; ky < w.kernel; ++ky)
        for (int kx = 0; kx < w.kernel; ++kx)
          for (std::int64_t c = 0; c < w.channels; ++c) {
            const std::int64_t y = oy * w.stride - w.pad_top + ky;
            const std::int64_t x = ox * w.stride - w.pad_left + kx;
            const bool inside = y >= 0 && y < w.height && x >= 0 && x < w.width;
            const std::int64_t at = (y * w.width + x) * w.channels + c;
            rows.push_back(inside ? codes[static_cast<std::size_t>(at)] : zero);
          }
  return rows;
}

inline Codes requantize_all(const Codes& sums, const QuantizedLayer& layer, std::int64_t channels) {
  Codes codes = sums;
  for (std::size_t i = 0; i < codes.size(); ++i)
    codes[i] = requantize(sums[i], layer.factor[static_cast<std::int64_t>(i) % channels]);
  return codes;
}

inline void pack_quantized_pointwise(std::byte* packed, QuantizedLayer layer, std::int64_t in,
                                     std::int64_t out) {
  pack_layer(packed, layer, in * out, out);
}

inline void quantized_pointwise(float* y, const float* x, const std::byte* packed,
                                Quantization input, const float* residual, Activation activation,
                                GemmShape s) {
  const QuantizedLayer layer = unpack_layer(packed, s.k * s.n, s.n);
  const Codes sums = multiply(quantize_all(x, s.m * s.k, input), layer, s.m, s.n, s.k);
  for (std::int64_t i = 0; i < s.m * s.n; ++i) {
    y[i] = dequantize(sums[static_cast<std::size_t>(i)], layer.factor[i % s.n], activation);
    if (residual) y[i] = y[i] + residual[i];
  }
}

inline void quantized_pointwise_average_pool(float* y, const float* x, const std::byte* packed,
                                             Quantization input, Activation activation,
                                             std::int64_t positions, GemmShape s) {
  std::vector<float> rows(static_cast<std::size_t>(s.m * s.n));
  quantized_pointwise(rows.data(), x, packed, input, nullptr, activation, s);
  for (std::int64_t i = 0; i < s.m / positions; ++i)
    for (std::int64_t c = 0; c < s.n; ++c) {
      float sum = 0;
      for (std::int64_t p = 0; p < positions; ++p)
        sum = sum + rows[static_cast<std::size_t>((i * positions + p) * s.n + c)];
      y[i * s.n + c] = sum / static_cast<float>(positions);
    }
}

inline void pack_quantized_inverted_residual(std::byte* packed, QuantizedBlock block,
                                             InvertedResidualShape s) {
  const std::int64_t expanded = s.expanded_channels;
  if (s.expand) packed = pack_layer(packed, block.expand, s.expand_steps() * expanded, expanded);
  packed = pack_layer(packed, block.depthwise, 9 * expanded, expanded);
  pack_layer(packed, block.project, expanded * s.out_channels, s.out_channels);
}

// One picture's codes behind the expansion.
inline Codes expand(const Codes& in, const std::byte*& packed, std::int32_t zero,
                    const InvertedResidualShape& s) {
  if (!s.expand) return in;
  const std::int64_t expanded = s.expanded_channels;
  const QuantizedLayer layer = unpack_layer(packed, s.expand_steps() * expanded, expanded);
  const Codes rows =
      gather(in,
             {s.in_height, s.in_width, s.in_channels, s.middle_height(), s.middle_width(),
              s.expand_kernel, s.expand_stride, s.expand_pad_top, s.expand_pad_left},
             zero);
  const std::int64_t positions = s.middle_height() * s.middle_width();
  return requantize_all(multiply(rows, layer, positions, expanded, s.expand_steps()), layer,
                        expanded);
}

inline Codes filter(const Codes& in, const std::byte*& packed, std::int32_t zero,
                    const InvertedResidualShape& s) {
  const std::int64_t channels = s.expanded_channels;
  const QuantizedLayer layer = unpack_layer(packed, 9 * channels, channels);
  const Codes rows = gather(in,
                            {s.middle_height(), s.middle_width(), channels, s.out_height,
                             s.out_width, 3, s.stride, s.pad_top, s.pad_left},
                            zero);
  Codes sums(static_cast<std::size_t>(s.out_height * s.out_width * channels));
  for (std::int64_t i = 0; i < std::ssize(sums); ++i) {
    const std::int64_t c = i % channels;
    std::int32_t sum = layer.bias[c];
    for (std::int64_t tap = 0; tap < 9; ++tap) {
      const std::int64_t at = (i / channels * 9 + tap) * channels + c;
      sum += rows[static_cast<std::size_t>(at)] * layer.weight[tap * channels + c];
    }
    sums[static_cast<std::size_t>(i)] = sum;
  }
  return requantize_all(sums, layer, channels);
}

// `count` values from the one at `begin` on.
inline Codes codes_of(const QuantizedInput& x, std::int64_t begin, std::int64_t count) {
  if (!x.codes) return quantize_all(x.values + begin, count, x.quantization);
  return Codes(x.codes + begin, x.codes + begin + count);
}

inline void quantized_inverted_residual(QuantizedOutput y, QuantizedInput x,
                                        const std::byte* packed, InvertedResidualShape s) {
  const std::int64_t inputs = s.in_height * s.in_width * s.in_channels;
  const std::int64_t positions = s.out_height * s.out_width;
  for (std::int64_t picture = 0; picture < s.batch; ++picture) {
    const std::byte* at = packed;
    const std::int64_t from = picture * inputs;
    const std::int32_t zero = x.quantization.zero;
    const Codes expanded = expand(codes_of(x, from, inputs), at, zero, s);
    const Codes filtered = filter(expanded, at, s.expand ? 0 : zero, s);
    const QuantizedLayer layer =
        unpack_layer(at, s.expanded_channels * s.out_channels, s.out_channels);
    const Codes sums = multiply(filtered, layer, positions, s.out_channels, s.expanded_channels);
    const std::int64_t to = picture * positions * s.out_channels;
    for (std::int64_t i = 0; i < positions * s.out_channels; ++i) {
      float value = dequantize(sums[static_cast<std::size_t>(i)], layer.factor[i % s.out_channels],
                               s.out_activation);
      if (s.residual) value = value + x.values[from + i];
      if (y.codes)
        y.codes[to + i] = static_cast<std::uint8_t>(quantize(value, y.quantization));
      else
        y.values[to + i] = value;
    }
  }
}

}  // namespace maskwatch::kernels::ref
