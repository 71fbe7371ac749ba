// What the operations in ops.def take besides memory: shapes, activations and optimiser settings.
#pragma once

#include <cstdint>

namespace maskwatch::kernels {

enum class Activation { none, relu, relu6 };

struct GemmShape {
  std::int64_t m = 0;       // rows of c
  std::int64_t n = 0;       // columns of c
  std::int64_t k = 0;       // length of the inner product
  bool accumulate = false;  // c += instead of c =
};

// Numbers that pack_gemm writes: columns rounded up to whole panels of the widest back end.
constexpr std::int64_t packed_gemm_size(std::int64_t k, std::int64_t n) {
  return k * ((n + 31) / 32 * 32);
}

struct ConvShape {
  std::int64_t batch = 1;
  std::int64_t in_height = 0, in_width = 0, in_channels = 0;
  std::int64_t out_height = 0, out_width = 0, out_channels = 0;
  int kernel_height = 3, kernel_width = 3;
  int stride = 1;
  int dilation = 1;
  // Rows and columns of zeros before the first; how many come after follows from the output size.
  int pad_top = 1, pad_left = 1;
};

// The inverted residual block (Sandler et al. 2018) with batch norm folded into its weights:
// 1×1 expansion + ReLU6 (unless `expand` is false: then expanded_channels == in_channels),
// depthwise 3×3 + ReLU6, 1×1 projection, and the input added where `residual` says so.
struct InvertedResidualShape {
  std::int64_t batch = 1;
  std::int64_t in_height = 0, in_width = 0, in_channels = 0;
  std::int64_t expanded_channels = 0;
  std::int64_t out_height = 0, out_width = 0, out_channels = 0;
  int stride = 1;  // 1 or 2
  int pad_top = 1, pad_left = 1;
  bool expand = true;
  bool residual = false;  // stride 1 and in_channels == out_channels
  // An expansion by a full convolution instead, square and without dilation: the stem of a network
  // with the block behind it. Then the size of its result is given too.
  int expand_kernel = 1, expand_stride = 1, expand_pad_top = 0, expand_pad_left = 0;
  std::int64_t full_height = 0, full_width = 0;

  // Behind expansion and depthwise convolution, and behind the projection (before the residual).
  Activation activation = Activation::relu6, out_activation = Activation::none;

  // What the depthwise convolution reads.
  constexpr std::int64_t middle_height() const {
    return expand_kernel > 1 ? full_height : in_height;
  }
  constexpr std::int64_t middle_width() const { return expand_kernel > 1 ? full_width : in_width; }
  // Products for each number of the expansion.
  constexpr std::int64_t expand_steps() const {
    return expand_kernel * expand_kernel * in_channels;
  }
  // Its first two layers, of `channels` expanded ones (or more, where a back end pads them).
  constexpr ConvShape expand_shape(std::int64_t channels) const {
    return {.batch = batch,
            .in_height = in_height,
            .in_width = in_width,
            .in_channels = in_channels,
            .out_height = middle_height(),
            .out_width = middle_width(),
            .out_channels = channels,
            .kernel_height = expand_kernel,
            .kernel_width = expand_kernel,
            .stride = expand_stride,
            .pad_top = expand_pad_top,
            .pad_left = expand_pad_left};
  }
  constexpr ConvShape depthwise_shape(std::int64_t channels) const {
    return {.batch = batch,
            .in_height = middle_height(),
            .in_width = middle_width(),
            .in_channels = channels,
            .out_height = out_height,
            .out_width = out_width,
            .out_channels = channels,
            .stride = stride,
            .pad_top = pad_top,
            .pad_left = pad_left};
  }
};

// Numbers that pack_inverted_residual writes.
constexpr std::int64_t packed_inverted_residual_size(const InvertedResidualShape& s) {
  const std::int64_t expanded = packed_gemm_size(1, s.expanded_channels);
  return (s.expand ? (s.expand_steps() + 1) * expanded : 0) + 10 * expanded +
         packed_gemm_size(s.expanded_channels + 1, s.out_channels);
}

struct RowShape {
  std::int64_t rows = 0;
  std::int64_t channels = 0;
};

// A batch norm (Ioffe & Szegedy 2015) and its activation, as the convolutions beside it take it in:
// y = activation(gamma (z - mean) / sqrt(variance + epsilon) + beta), [channels] each.
template <typename T>
struct BatchNorm {
  const T *mean, *variance, *gamma, *beta;
  double epsilon = 1e-3;
  Activation activation = Activation::none;
  bool fixed = false;  // the statistics are not those of this batch: no gradient goes through them
};

// What the gradient of z[rows, channels] is found from where it is needed: dy, the gradient behind
// z's batch norm, and that layer's own gradients, which hold the sums over the batch.
template <typename T>
struct BatchNormGradient {
  const T *dy, *z;
  BatchNorm<T> layer;
  const T *dgamma, *dbeta;
};

struct PoolShape {
  std::int64_t batch = 1;
  std::int64_t positions = 0;  // height · width
  std::int64_t channels = 0;
};

struct UpsampleShape {
  std::int64_t batch = 1;
  std::int64_t height = 0, width = 0, channels = 0;  // of the result

  constexpr std::int64_t in_height() const { return (height + 1) / 2; }
  constexpr std::int64_t in_width() const { return (width + 1) / 2; }
  constexpr std::int64_t inputs() const { return batch * in_height() * in_width() * channels; }
  constexpr std::int64_t outputs() const { return batch * height * width * channels; }
};

struct AdamStep {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  std::int64_t t = 1;
};

// One of the tensors that adam_many steps: `count` numbers each.
template <typename T>
struct AdamTensor {
  T *parameter, *m, *v;
  const T* gradient;
  std::int64_t count;
};

struct SgdStep {
  double learning_rate = 1e-2, momentum = 0.9, weight_decay = 0;
};

}  // namespace maskwatch::kernels
