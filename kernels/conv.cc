// Full convolutions, NHWC with HWIO weights, as matrix products whose a is read in place: the
// positions that one kernel row covers follow each other in memory. Where there is padding, a task
// first copies its strip of input rows between zeros.
#include <algorithm>

#include "base/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/conv-inl.h"
#include "kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

void pack_gemm(float* packed, const float* b, GemmShape shape);
void packed_conv2d(float* y, const float* x, const float* packed, const float* bias,
                   Activation activation, ConvShape shape);

namespace {

// Multiply-adds that are worth a task of their own.
constexpr std::int64_t kTaskWork = 1 << 20;
constexpr std::int64_t kMostTasks = 64;

// Products for one output.
std::int64_t depth_of(const ConvShape& s) {
  return std::int64_t{s.kernel_height} * s.kernel_width * s.in_channels;
}

struct Conv {
  float* y;
  const float* x;
  const float* packed;
  const float* bias;
  Activation activation;
  ConvShape shape;
};

// Input positions that `outputs` outputs in a line cover.
std::int64_t span(std::int64_t outputs, int kernel, const ConvShape& s) {
  return (outputs - 1) * s.stride + std::int64_t{kernel - 1} * s.dilation + 1;
}

// What the given output rows of one picture read.
Strip strip_of(const Conv& p, std::int64_t picture, Range rows) {
  const ConvShape& s = p.shape;
  const std::int64_t top = rows.begin * s.stride - s.pad_top;
  return padded_strip({p.x + picture * s.in_height * s.in_width * s.in_channels, s.in_height,
                       s.in_width, s.in_channels},
                      {top, top + span(rows.end - rows.begin, s.kernel_height, s)},
                      {-s.pad_left, -s.pad_left + span(s.out_width, s.kernel_width, s)});
}

// Output rows of one picture, columns of `panels`.
void convolve(const Conv& p, std::int64_t picture, Range rows, Range panels) {
  const ConvShape& s = p.shape;
  const Strip strip = strip_of(p, picture, rows);
  const bool whole_rows = s.dilation == 1;
  const std::int64_t k = depth_of(s);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel)
    for (std::int64_t oy = rows.begin; oy < rows.end; ++oy)
      for_each_tile({0, s.out_width}, [&](std::int64_t ox, std::int64_t count) HWY_ATTR {
        const std::int64_t column = panel * kPanel;
        const std::int64_t columns = std::min(kPanel, s.out_channels - column);
        const std::int64_t row = (picture * s.out_height + oy) * s.out_width + ox;
        const TileInput in = {.a = strip.first + (oy - rows.begin) * s.stride * strip.pitch +
                                   ox * s.stride * s.in_channels,
                              .a_stride = s.stride * s.in_channels,
                              .b = p.packed + column * k,
                              .b_stride = kPanel,
                              .steps = whole_rows ? s.kernel_width * s.in_channels : s.in_channels,
                              .segments = whole_rows ? 1 : s.kernel_width,
                              .segment_step = s.dilation * s.in_channels,
                              .groups = s.kernel_height,
                              .group_step = s.dilation * strip.pitch,
                              .paired = pairs_steps(columns)};
        run_tile(count, in,
                 {.c = p.y + row * s.out_channels + column,
                  .c_stride = s.out_channels,
                  .columns = columns,
                  .bias = p.bias ? p.bias + column : nullptr,
                  .activation = p.activation});
      });
}

// Output rows whose strip of input fills a quarter of the second-level cache at most.
std::int64_t rows_in_cache(const ConvShape& s) {
  const std::int64_t row_bytes =
      span(s.out_width, s.kernel_width, s) * s.in_channels * std::int64_t{sizeof(float)};
  const std::int64_t rows = cache_sizes().level2 / 4 / std::max<std::int64_t>(row_bytes, 1);
  return std::max<std::int64_t>(1, (rows - s.kernel_height * s.dilation) / s.stride);
}

}  // namespace

void conv2d(float* y, const float* x, const float* w, const float* bias, Activation activation,
            ConvShape shape) {
  const std::int64_t k = depth_of(shape);
  float* packed = scratch(Scratch::packed, packed_gemm_size(k, shape.out_channels));
  pack_gemm(packed, w, {.n = shape.out_channels, .k = k});
  // Of this target: unqualified, kernels::packed_conv2d would serve as well.
  HWY_NAMESPACE::packed_conv2d(y, x, packed, bias, activation, shape);
}

void packed_conv2d(float* y, const float* x, const float* packed, const float* bias,
                   Activation activation, ConvShape shape) {
  const ConvShape& s = shape;
  if (s.batch * s.out_height * s.out_width * s.out_channels <= 0) return;
  const std::int64_t k = depth_of(s);
  const Conv p = {y, x, packed, bias, activation, s};
  const std::int64_t panels = divide_up(s.out_channels, kPanel);
  const std::int64_t work = s.batch * s.out_height * s.out_width * s.out_channels * k;
  const std::int64_t wanted = std::clamp<std::int64_t>(work / kTaskWork, 1, kMostTasks);
  const std::int64_t strips =
      std::min(s.out_height,
               std::max(divide_up(wanted, s.batch), divide_up(s.out_height, rows_in_cache(s))));
  const std::int64_t blocks = std::min(panels, divide_up(wanted, strips * s.batch));
  parallel_for(s.batch * strips * blocks, [&](std::int64_t task) HWY_ATTR {
    const std::int64_t strip = task / blocks;
    convolve(p, strip / strips, part(s.out_height, strips, strip % strips),
             part(panels, blocks, task % blocks));
  });
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
