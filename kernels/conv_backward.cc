// Gradients of full convolutions, as matrix products whose operands are read in place.
#include <algorithm>

#include "base/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv_backward.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/conv-inl.h"
#include "kernels/gemm-inl.h"
#include "kernels/partials-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

// --- dx: the inputs fall into stride² classes by their position modulo the stride. Within a class
// every input sees the same taps, at outputs that follow each other like the inputs do: a
// convolution of stride 1 of dy with some of the taps. ---

// Inputs first, first + stride, … along one axis and the taps that reach them: tap, tap - tap_step,
// …, of which input t sees outputs output + t, output + output_step + t, …
struct Class {
  std::int64_t first, inputs;
  int tap = 0, tap_step = 1, taps = 0;
  std::int64_t output = 0, output_step = 0;
};

Class class_of(std::int64_t first, std::int64_t size, int kernel, int pad, const ConvShape& s) {
  Class c = {.first = first, .inputs = divide_up(size - first, s.stride)};
  for (int tap = kernel - 1; tap >= 0; --tap) {
    const std::int64_t distance = first + pad - std::int64_t{tap} * s.dilation;
    if (distance % s.stride != 0) continue;
    if (c.taps == 0) {
      c.tap = tap;
      c.output = distance / s.stride;
    } else if (c.taps == 1) {
      c.tap_step = c.tap - tap;
      c.output_step = distance / s.stride - c.output;
    }
    ++c.taps;
  }
  return c;
}

struct InputGradient {
  float* dx;
  const float* dy;
  const float* packed;
  Class rows, columns;
  ConvShape shape;
};

// Outputs that inputs [begin, end) of a class read.
Range outputs_of(const Class& c, Range inputs) {
  return {c.output + inputs.begin, c.output + inputs.end + std::max(c.taps - 1, 0) * c.output_step};
}

void pack_class(float* packed, const float* w, const Class& rows, const Class& columns,
                const ConvShape& s) {
  const std::int64_t k = std::int64_t{rows.taps} * columns.taps * s.out_channels;
  for (std::int64_t channel = 0; channel < s.in_channels; channel += kPanel) {
    float* to = packed + channel * k;
    for (int i = 0; i < rows.taps; ++i)
      for (int j = 0; j < columns.taps; ++j, to += s.out_channels * kPanel) {
        const std::int64_t tap = std::int64_t{rows.tap - i * rows.tap_step} * s.kernel_width +
                                 (columns.tap - j * columns.tap_step);
        pack_panel_transposed(to, w + (tap * s.in_channels + channel) * s.out_channels,
                              std::min(kPanel, s.in_channels - channel), s.out_channels,
                              s.out_channels);
      }
  }
}

// Rows [block) of the class in one picture.
void gather(const InputGradient& p, std::int64_t picture, Range block) {
  const ConvShape& s = p.shape;
  const Strip strip =
      padded_strip({p.dy + picture * s.out_height * s.out_width * s.out_channels, s.out_height,
                    s.out_width, s.out_channels},
                   outputs_of(p.rows, block), outputs_of(p.columns, {0, p.columns.inputs}));
  const std::int64_t k = std::int64_t{p.rows.taps} * p.columns.taps * s.out_channels;
  for (std::int64_t channel = 0; channel < s.in_channels; channel += kPanel)
    for (std::int64_t t = block.begin; t < block.end; ++t)
      for_each_tile({0, p.columns.inputs}, [&](std::int64_t u, std::int64_t count) HWY_ATTR {
        const std::int64_t iy = p.rows.first + t * s.stride, ix = p.columns.first + u * s.stride;
        const std::int64_t position = (picture * s.in_height + iy) * s.in_width + ix;
        run_tile(count,
                 {.a = strip.first + (t - block.begin) * strip.pitch + u * s.out_channels,
                  .a_stride = s.out_channels,
                  .b = p.packed + channel * k,
                  .b_stride = kPanel,
                  .steps = k > 0 ? s.out_channels : 0,
                  .segments = p.columns.taps,
                  .segment_step = p.columns.output_step * s.out_channels,
                  .groups = p.rows.taps,
                  .group_step = p.rows.output_step * strip.pitch},
                 {.c = p.dx + position * s.in_channels + channel,
                  .c_stride = s.stride * s.in_channels,
                  .columns = std::min(kPanel, s.in_channels - channel)});
      });
}

// --- dw[kernel row, its taps and input channels, output channel] = Σ over positions x · dy ---

// Positions whose sum starts from zero: they keep a tile of dw in registers.
constexpr std::int64_t kRunPositions = 128;
// Positions that one part of the sum holds at least.
constexpr std::int64_t kPartPositions = 4 * kRunPositions;
constexpr std::int64_t kMostParts = 16;
// Numbers in all parts together.
constexpr std::int64_t kMostPartials = 1 << 23;

struct WeightGradient {
  const float* dy;
  const float* x;
  ConvShape shape;

  // Rows of dw that one kernel row makes where taps follow each other in x; else one tap makes.
  std::int64_t block_rows() const {
    return shape.dilation == 1 ? shape.kernel_width * shape.in_channels : shape.in_channels;
  }
  std::int64_t blocks() const {
    return shape.kernel_height * (shape.dilation == 1 ? 1 : std::int64_t{shape.kernel_width});
  }
  std::int64_t size() const { return blocks() * block_rows() * shape.out_channels; }
};

// dw[block] (+)= x[rows]ᵀ · dy[rows] for some output rows of one picture. a: the first position
// that the block reads for the first of these rows.
void add_rows(float* dw, const WeightGradient& p, const float* a, std::ptrdiff_t pitch,
              std::int64_t first_row, std::int64_t rows, bool add) {
  const ConvShape& s = p.shape;
  const std::int64_t behind = (s.batch * s.out_height - first_row - rows) * s.out_width;
  const std::int64_t positions = rows * s.out_width;
  if (rows > 1 && guarded_steps(1, s.out_channels, positions) > behind) {
    for (std::int64_t i = 0; i < rows; ++i)
      add_rows(dw, p, a + i * s.stride * pitch, pitch, first_row + i, 1, add || i > 0);
    return;
  }
  for (std::int64_t column = 0; column < s.out_channels; column += kPanel) {
    const std::int64_t columns = std::min(kPanel, s.out_channels - column);
    const std::int64_t guarded =
        std::max<std::int64_t>(guarded_steps(columns, s.out_channels, positions) - behind, 0);
    for_each_tile({0, p.block_rows()}, [&](std::int64_t row, std::int64_t count) HWY_ATTR {
      float* to = dw + row * s.out_channels + column;
      run_column_tile(count,
                      {.a = a + row,
                       .a_stride = s.stride * s.in_channels,
                       .b = p.dy + first_row * s.out_width * s.out_channels + column,
                       .b_stride = s.out_channels,
                       .steps = s.out_width,
                       .segments = rows,
                       .segment_step = s.stride * pitch,
                       .guarded = guarded},
                      {.c = to,
                       .c_stride = s.out_channels,
                       .columns = columns,
                       .residual = add ? to : nullptr});
    });
  }
}

// Block `block` of dw = the sum over output rows [rows) of the batch, a few rows of one picture at
// a time.
void sum_part(float* dw, const WeightGradient& p, std::int64_t block, Range rows) {
  const ConvShape& s = p.shape;
  const std::int64_t taps = p.blocks() / s.kernel_height;  // blocks of one kernel row
  const std::int64_t ky = block / taps, kx = block % taps;
  const std::int64_t width = (s.out_width - 1) * s.stride +
                             (taps == 1 ? std::int64_t{s.kernel_width - 1} * s.dilation : 0) + 1;
  const std::int64_t left = kx * s.dilation - s.pad_left;
  const std::int64_t most = std::max<std::int64_t>(1, kRunPositions / s.out_width);
  std::fill(dw, dw + p.block_rows() * s.out_channels, 0.0f);
  for (std::int64_t row = rows.begin, count = 0; row < rows.end; row += count) {
    const std::int64_t picture = row / s.out_height, oy = row % s.out_height;
    count = std::min({most, rows.end - row, s.out_height - oy});
    const std::int64_t top = oy * s.stride - s.pad_top + ky * s.dilation;
    const Strip strip = padded_strip({p.x + picture * s.in_height * s.in_width * s.in_channels,
                                      s.in_height, s.in_width, s.in_channels},
                                     {top, top + (count - 1) * s.stride + 1}, {left, left + width});
    add_rows(dw, p, strip.first, strip.pitch, row, count, true);
  }
}

}  // namespace

void conv2d_backward_input(float* dx, const float* dy, const float* w, ConvShape shape) {
  const ConvShape& s = shape;
  for (std::int64_t y = 0; y < std::min<std::int64_t>(s.stride, s.in_height); ++y)
    for (std::int64_t x = 0; x < std::min<std::int64_t>(s.stride, s.in_width); ++x) {
      const Class rows = class_of(y, s.in_height, s.kernel_height, s.pad_top, s);
      const Class columns = class_of(x, s.in_width, s.kernel_width, s.pad_left, s);
      const std::int64_t k = std::int64_t{rows.taps} * columns.taps * s.out_channels;
      float* packed = scratch(Scratch::packed, packed_gemm_size(k, s.in_channels));
      pack_class(packed, w, rows, columns, s);
      const InputGradient p = {dx, dy, packed, rows, columns, s};
      const std::int64_t row_work = columns.inputs * s.in_channels * std::max<std::int64_t>(k, 1);
      const std::int64_t grain = std::clamp<std::int64_t>((1 << 20) / row_work, 1, rows.inputs);
      const std::int64_t blocks = divide_up(rows.inputs, grain);
      parallel_for(s.batch * blocks, [&](std::int64_t task) HWY_ATTR {
        gather(p, task / blocks, part(rows.inputs, blocks, task % blocks));
      });
    }
}

void conv2d_backward_weight(float* dw, const float* dy, const float* x, ConvShape shape) {
  const WeightGradient p = {dy, x, shape};
  const std::int64_t rows = shape.batch * shape.out_height;
  const std::int64_t parts =
      std::clamp<std::int64_t>(std::min({rows, rows * shape.out_width / kPartPositions,
                                         kMostPartials / std::max<std::int64_t>(p.size(), 1)}),
                               1, kMostParts);
  const std::int64_t block_size = p.block_rows() * shape.out_channels;
  float* partials = parts == 1 ? dw : scratch(Scratch::partials, parts * p.size());
  parallel_for(parts * p.blocks(), [&](std::int64_t task) HWY_ATTR {
    const std::int64_t index = task / p.blocks(), block = task % p.blocks();
    sum_part(partials + index * p.size() + block * block_size, p, block, part(rows, parts, index));
  });
  if (parts == 1) return;
  add_partials(dw, partials, parts, p.size(), false);
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
