// What the operations in ops.def take besides memory: shapes, activations and optimiser settings.
#pragma once

#include <cstdint>

namespace kernels {

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
};

// Numbers that pack_inverted_residual writes.
constexpr std::int64_t packed_inverted_residual_size(const InvertedResidualShape& s) {
  const std::int64_t expanded = packed_gemm_size(1, s.expanded_channels);
  return (s.expand ? (s.in_channels + 1) * expanded : 0) + 10 * expanded +
         packed_gemm_size(s.expanded_channels + 1, s.out_channels);
}

struct RowShape {
  std::int64_t rows = 0;
  std::int64_t channels = 0;
};

struct PoolShape {
  std::int64_t batch = 1;
  std::int64_t positions = 0;  // height · width
  std::int64_t channels = 0;
};

struct AdamStep {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  std::int64_t t = 1;
};

struct SgdStep {
  double learning_rate = 1e-2, momentum = 0.9, weight_decay = 0;
};

}  // namespace kernels
