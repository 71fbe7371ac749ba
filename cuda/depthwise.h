// Depthwise 3x3 convolutions: a thread has 4 channels (or 1) of one column of the output and slides
// a window of the input down a strip of rows, in registers. Each row of the input is loaded once
// for a strip, and neighbours in a block read neighbouring addresses. To cuda/rows.h a strip is a
// row.
#pragma once

#include "cuda/batch_norm.h"
#include "cuda/rows.h"
#include "kernels/shapes.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// A result of columns cut into strips, and what its windows look at.
struct Strips {
  int height, width;        // of the result
  int in_height, in_width;  // of what the windows look at
  int stride, dilation, pad_top, pad_left;
  int rows, count;  // rows of a strip; strips of a column
  std::int64_t channels, tasks;

  kernels::RowShape shape() const { return {tasks, channels}; }
};

// Strips by the shape alone: long ones, as far as that leaves threads for a large GPU.
inline Strips cut_into_strips(std::int64_t batch, Strips s) {
  constexpr std::int64_t wanted_threads = 1 << 17;
  constexpr int longest = 16, shortest = 2;
  const auto cut = [&](int rows) {
    s.rows = rows;
    s.count = static_cast<int>(ceil_div(s.height, rows));
    s.tasks = batch * s.count * s.width;
  };
  cut(longest);
  for (int rows = longest / 2; rows >= shortest && s.tasks * s.channels / 4 < wanted_threads;
       rows /= 2)
    cut(rows);
  return s;
}

inline Strips strips_of(const kernels::ConvShape& s) {
  return cut_into_strips(s.batch, {.height = static_cast<int>(s.out_height),
                                   .width = static_cast<int>(s.out_width),
                                   .in_height = static_cast<int>(s.in_height),
                                   .in_width = static_cast<int>(s.in_width),
                                   .stride = s.stride,
                                   .dilation = s.dilation,
                                   .pad_top = s.pad_top,
                                   .pad_left = s.pad_left,
                                   .rows = 0,
                                   .count = 0,
                                   .channels = s.out_channels,
                                   .tasks = 0});
}

// One strip.
struct Strip {
  std::int64_t image;
  int column, begin, end;  // rows of the result

  __device__ __forceinline__ Strip(const Strips& s, std::int64_t task) {
    const auto number = static_cast<unsigned>(task), columns = static_cast<unsigned>(s.width);
    const unsigned rest = number / columns, strips = static_cast<unsigned>(s.count);
    column = static_cast<int>(number % columns);
    image = rest / strips;
    begin = static_cast<int>(rest % strips) * s.rows;
    end = begin + s.rows < s.height ? begin + s.rows : s.height;
  }

  // Index of the number at (row, this column, channel c) of the result.
  __device__ __forceinline__ std::int64_t index(const Strips& s, int row, std::int64_t c) const {
    return ((image * s.height + row) * s.width + column) * s.channels + c;
  }
};

// --- What a window looks at: values by their index ---

struct Plain {
  const float* x;

  template <int width>
  struct Thread {
    const float* x;
    __device__ __forceinline__ Thread(const Plain& source, std::int64_t) : x(source.x) {}
    __device__ __forceinline__ Vector<width> operator()(std::int64_t i) const {
      return load<width>(x + i);
    }
  };
};

// Through a batch norm and its activation.
struct Normed {
  const float* x;
  kernels::BatchNorm<float> layer;

  template <int width>
  struct Thread {
    const float* x;
    NormOf<width> norm;
    __device__ __forceinline__ Thread(const Normed& source, std::int64_t c)
        : x(source.x), norm(source.layer, c) {}
    __device__ __forceinline__ Vector<width> operator()(std::int64_t i) const {
      return norm(load<width>(x + i));
    }
  };
};

// The gradient of z.
struct GradientOfZ {
  kernels::BatchNormGradient<float> gradient;
  float rows;

  template <int width>
  struct Thread {
    const float *dy, *z;
    GradientOf<width> gradient;
    __device__ __forceinline__ Thread(const GradientOfZ& source, std::int64_t c)
        : dy(source.gradient.dy), z(source.gradient.z), gradient(source.gradient, c, source.rows) {}
    __device__ __forceinline__ Vector<width> operator()(std::int64_t i) const {
      return gradient(load<width>(dy + i), load<width>(z + i));
    }
  };
};

// --- Windows ---

template <int width>
using Window = Vector<width>[3][3];

// Row `y` of the input in front of the strip's column; zeros outside the input.
template <int width, typename Source>
__device__ __forceinline__ void load_row(Vector<width> (&row)[3], const Source& source,
                                         const Strips& s, const Strip& strip, int y,
                                         std::int64_t c) {
  const int left = strip.column * s.stride - s.pad_left;
  const bool inside = y >= 0 && y < s.in_height;
  const std::int64_t begin = ((strip.image * s.in_height + y) * s.in_width + left) * s.channels + c;
#pragma unroll
  for (int k = 0; k < 3; ++k) {
    const int x = left + k * s.dilation;
    row[k] = {};
    if (inside && x >= 0 && x < s.in_width)
      row[k] = source(begin + std::int64_t{k} * s.dilation * s.channels);
  }
}

template <int width>
__device__ __forceinline__ void move_row(Vector<width> (&to)[3], const Vector<width> (&from)[3]) {
#pragma unroll
  for (int k = 0; k < 3; ++k) to[k] = from[k];
}

// body(row, window) for each row of the strip. `stride`: 1 or 2 without dilation; 0: any. At stride
// 1, where a window adds but one row, that of the next one is on its way while the body works.
template <int width, int stride, typename Source, typename Body>
__device__ __forceinline__ void slide(const Source& source, const Strips& s, const Strip& strip,
                                      std::int64_t c, const Body& body) {
  constexpr int fresh = stride == 0 ? 3 : stride;  // rows that the next window does not share
  constexpr int kept = 3 - fresh, ahead = stride == 1 ? 1 : 0;
  Window<width> window;
  int y = strip.begin * s.stride - s.pad_top;
#pragma unroll
  for (int k = 0; k < kept + ahead; ++k) load_row<width>(window[k], source, s, strip, y + k, c);
  for (int row = strip.begin; row < strip.end; ++row, y += s.stride) {
    Vector<width> next[3];
    if constexpr (ahead != 0) {
      if (row + 1 < strip.end) load_row<width>(next, source, s, strip, y + 3, c);
    } else {
#pragma unroll
      for (int k = kept; k < 3; ++k)
        load_row<width>(window[k], source, s, strip, y + k * s.dilation, c);
    }
    body(row, window);
#pragma unroll
    for (int k = 0; k < kept; ++k) move_row<width>(window[k], window[k + fresh]);
    if constexpr (ahead != 0) move_row<width>(window[2], next);
  }
}

// w[3, 3, channels] at a thread's channels.
template <int width>
struct Weights {
  Vector<width> at[9];

  __device__ __forceinline__ Weights(const float* w, std::int64_t channels, std::int64_t c) {
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) at[tap] = load<width>(w + tap * channels + c);
  }
};

template <int width>
__device__ __forceinline__ void multiply_add(Vector<width>& sum, const Vector<width>& a,
                                             const Vector<width>& b) {
#pragma unroll
  for (int j = 0; j < width; ++j) sum.at[j] += a.at[j] * b.at[j];
}

// Calls run with std::integral_constant of the stride that slide() is compiled for.
template <typename Run>
void with_stride(const Strips& s, const Run& run) {
  if (s.dilation == 1 && s.stride == 1)
    run(std::integral_constant<int, 1>());
  else if (s.dilation == 1 && s.stride == 2)
    run(std::integral_constant<int, 2>());
  else
    run(std::integral_constant<int, 0>());
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
