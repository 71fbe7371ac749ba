// Operands of convolutions as products (cuda/operands.h says what a source is): values are gathered
// from images as they are loaded, and the matrix of patches is never written down. A patch is
// k = (tap, channel); positions count over the whole batch.
#pragma once

#include "cuda/operands.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// Images [batch][height][width][channels], and how positions of one side of a convolution look at
// those of the other.
struct Images {
  const float* data;
  int batch, height, width, channels;
  bool whole;  // a patch consists of aligned vectors

  // Null outside.
  __device__ const float* at(int image, int y, int x, int channel) const {
    if (y < 0 || y >= height || x < 0 || x >= width) return nullptr;
    return data + ((std::int64_t{image} * height + y) * width + x) * channels + channel;
  }
};

struct KernelWindow {
  int height, width;  // of the kernel
  int stride, dilation, pad_top, pad_left;

  __device__ int taps() const { return height * width; }
};

struct ImagePosition {
  int image, y, x;
};

__device__ inline ImagePosition position_of(int row, int height, int width) {
  const int line = row / width;
  return {line / height, line % height, row % width};
}

// a[output position][tap, input channel] of x.
struct Patches {
  static constexpr bool kAlongK = true, kAsync = true;
  struct Loaded {};
  struct Place {
    int image, y, x;  // of the first tap; image < 0: none
  };

  __device__ Place place(int line) const {
    if (line >= x.batch * out_height * out_width) return {-1, 0, 0};
    const ImagePosition p = position_of(line, out_height, out_width);
    return {p.image, p.y * window.stride - window.pad_top, p.x * window.stride - window.pad_left};
  }
  __device__ bool whole() const { return x.whole; }
  __device__ const float* anywhere() const { return x.data; }
  __device__ const float* address(const Place& p, int k) const {
    const int tap = k / x.channels, channel = k - tap * x.channels;
    if (p.image < 0 || tap >= window.taps()) return nullptr;
    const int row = tap / window.width, column = tap - row * window.width;
    return x.at(p.image, p.y + row * window.dilation, p.x + column * window.dilation, channel);
  }

  Images x;
  KernelWindow window;
  int out_height, out_width;
};

// The same matrix by columns: a[output position = k][tap, input channel], for the gradient of w.
struct PatchColumns {
  static constexpr bool kAlongK = false, kAsync = true;
  using Place = int;
  struct Loaded {};

  __device__ Place place(int line) const { return line; }
  __device__ bool whole() const { return patches.whole(); }
  __device__ const float* anywhere() const { return patches.anywhere(); }
  __device__ const float* address(Place line, int k) const {
    return patches.address(patches.place(k), line);
  }

  Patches patches;
};

// a[input position][tap, output channel] of dy: what each input position gave to.
struct GradientPatches {
  static constexpr bool kAlongK = true, kAsync = true;
  struct Loaded {};
  struct Place {
    int image, y, x;  // of the first tap's output position times the stride; image < 0: none
  };

  __device__ Place place(int line) const {
    if (line >= dy.batch * in_height * in_width) return {-1, 0, 0};
    const ImagePosition p = position_of(line, in_height, in_width);
    return {p.image, p.y + window.pad_top, p.x + window.pad_left};
  }
  __device__ bool whole() const { return dy.whole; }
  __device__ const float* anywhere() const { return dy.data; }
  __device__ const float* address(const Place& p, int k) const {
    const int tap = k / dy.channels, channel = k - tap * dy.channels;
    if (p.image < 0 || tap >= window.taps()) return nullptr;
    const int row = tap / window.width, column = tap - row * window.width;
    const int y = p.y - row * window.dilation, x = p.x - column * window.dilation;
    if (y < 0 || x < 0 || y % window.stride != 0 || x % window.stride != 0) return nullptr;
    return dy.at(p.image, y / window.stride, x / window.stride, channel);
  }

  Images dy;
  KernelWindow window;
  int in_height, in_width;
};

// b[tap, output channel = k][input channel] of w[tap][input channel][output channel].
struct TurnedWeights {
  static constexpr bool kAlongK = true, kAsync = true;
  using Place = int;
  struct Loaded {};

  __device__ Place place(int line) const { return line; }
  __device__ bool whole() const { return is_whole; }
  __device__ const float* anywhere() const { return w; }
  __device__ const float* address(Place line, int k) const {
    const int tap = k / out_channels, channel = k - tap * out_channels;
    if (line >= in_channels || tap >= taps) return nullptr;
    return w + (std::int64_t{tap} * in_channels + line) * out_channels + channel;
  }

  const float* w;
  int taps, in_channels, out_channels;
  bool is_whole;
};

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
