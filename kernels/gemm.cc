// Matrix products, row-major. b is packed into panels of kPanel columns (kernels/gemm-inl.h) unless
// c has so few rows that packing would cost more than it saves. The products of the backward pass
// read a transposed a in place.
#include <algorithm>

#include "base/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/partials-inl.h"
#include "kernels/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

// Products (multiply-adds) that are worth a task of their own.
constexpr std::int64_t kTaskWork = 1 << 18;
constexpr std::int64_t kMostTasks = 64;

// How c is dealt to tasks: blocks of row tiles times blocks of panels.
struct Grid {
  std::int64_t row_blocks, panel_blocks;

  std::int64_t tasks() const { return row_blocks * panel_blocks; }
};

// Cuts the longer side of c first, so that the larger of a and b is read by one thread only.
Grid grid_of(const GemmShape& s) {
  const std::int64_t tiles = divide_up(s.m, kTileRows), panels = divide_up(s.n, kPanel);
  const std::int64_t wanted = std::clamp<std::int64_t>(s.m * s.n * s.k / kTaskWork, 1, kMostTasks);
  if (s.n > s.m) {
    const std::int64_t panel_blocks = std::min(panels, wanted);
    return {std::min(tiles, divide_up(wanted, panel_blocks)), panel_blocks};
  }
  const std::int64_t row_blocks = std::min(tiles, wanted);
  return {row_blocks, std::min(panels, divide_up(wanted, row_blocks))};
}

// Steps of k after which half of the second-level cache is full of one panel and one tile of a.
std::int64_t longest_run(std::int64_t k) {
  const auto number = static_cast<std::int64_t>(sizeof(float));
  const std::int64_t most = cache_sizes().level2 / 2 / (number * (kPanel + kTileRows));
  return k <= most ? std::max<std::int64_t>(k, 1) : most / 2 * 2;  // whole pairs of steps
}

void multiply_panel(const PackedProduct& p, Range rows, std::int64_t panel, Range steps,
                    Upcoming* upcoming = nullptr) {
  const GemmShape& s = p.shape;
  const std::int64_t column = panel * kPanel;
  const bool first = steps.begin == 0, last = steps.end == s.k;
  Upcoming next_panel(p.packed + (column + kPanel) * s.k,
                      column + kPanel < s.n ? (steps.end - steps.begin) * kPanel : 0);
  Upcoming& next = upcoming ? *upcoming : next_panel;
  for_each_run(rows, [&](std::int64_t row, std::int64_t height, std::int64_t tiles) HWY_ATTR {
    TileOutput out = p.out;
    const std::int64_t at = row * s.n + column, count = steps.end - steps.begin;
    out.c += at;
    out.columns = std::min(kPanel, s.n - column);
    out.accumulate = p.out.accumulate || !first;
    out.bias = out.bias ? out.bias + column : nullptr;
    out.residual = out.residual && last ? out.residual + at : nullptr;
    if (!last) out.activation = Activation::none;
    run_tiles(height, tiles,
              {.a = p.a + row * s.k + steps.begin,
               .a_stride = s.k,
               .b = p.packed + column * s.k + steps.begin * kPanel,
               .b_stride = kPanel,
               .steps = count,
               .fetch = next.take(tiles * count),
               .paired = pairs_steps(out.columns)},
              out, height * s.n);
  });
}

}  // namespace

void multiply_block(const PackedProduct& p, Range rows, Range panels, Upcoming* upcoming) {
  const std::int64_t k = p.shape.k, run = longest_run(k);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel)
    for (std::int64_t step = 0; step == 0 || step < k; step += run)
      multiply_panel(p, rows, panel, {step, std::min(step + run, k)}, upcoming);
}

namespace {

void multiply_packed(const PackedProduct& p) {
  const GemmShape& s = p.shape;
  const Grid grid = grid_of(s);
  parallel_for(grid.tasks(), [&](std::int64_t task) HWY_ATTR {
    const std::int64_t tiles = divide_up(s.m, kTileRows);
    const Range block = part(tiles, grid.row_blocks, task % grid.row_blocks);
    const Range rows = {block.begin * kTileRows, std::min(block.end * kTileRows, s.m)};
    multiply_block(p, rows,
                   part(divide_up(s.n, kPanel), grid.panel_blocks, task / grid.row_blocks));
  });
}

// One row of c, some panels side by side: the weights are read once and nothing else matters, so
// they come as several streams, which the memory serves at once.
constexpr int kStreams = 4;

template <int kPanels>
void multiply_row(const PackedProduct& p, std::int64_t panel) {
  const GemmShape& s = p.shape;
  const std::ptrdiff_t pitch = kPanel * s.k;
  const float* HWY_RESTRICT b = p.packed + panel * pitch;
  Vector sums[kPanels][kTileVectors];
  for (int i = 0; i < kPanels; ++i)
    for (int v = 0; v < kTileVectors; ++v) {
      const std::int64_t column = (panel + i) * kPanel + v * kLanes;
      sums[i][v] = p.out.bias && column < s.n
                       ? load_first(p.out.bias + column, std::min(kLanes, s.n - column))
                       : hn::Zero(lanes);
    }
  for (std::int64_t k = 0; k < s.k; ++k, b += kPanel) {
    const Vector factor = hn::Set(lanes, p.a[k]);
    HWY_UNROLL(4)
    for (int i = 0; i < kPanels; ++i) {
      HWY_UNROLL(4)
      for (int v = 0; v < kTileVectors; ++v) {
        const float* from = b + i * pitch + v * kLanes;
        sums[i][v] = hn::MulAdd(factor, hn::LoadU(lanes, from), sums[i][v]);
      }
    }
  }
  const Clamp bounds = clamp_of(p.out.activation);
  for (int i = 0; i < kPanels; ++i)
    for (int v = 0; v < kTileVectors; ++v) {
      const std::int64_t column = (panel + i) * kPanel + v * kLanes;
      if (column >= s.n) continue;
      const std::int64_t rest = std::min(kLanes, s.n - column);
      Vector sum = clamp(sums[i][v], bounds);
      if (p.out.residual) sum = hn::Add(sum, load_first(p.out.residual + column, rest));
      store_first(sum, p.out.c + column, rest);
    }
}

void multiply_row(const PackedProduct& p) {
  const std::int64_t panels = divide_up(p.shape.n, kPanel);
  const std::int64_t tasks =
      std::clamp<std::int64_t>(p.shape.k * p.shape.n / kTaskWork, 1, kMostTasks);
  parallel_for(std::min(panels, tasks), [&](std::int64_t task) HWY_ATTR {
    const Range mine = part(panels, std::min(panels, tasks), task);
    std::int64_t panel = mine.begin;
    const std::int64_t unpaired =
        mine.end - (mine.end == panels && pairs_steps(p.shape.n % kPanel));
    for (; panel + kStreams <= unpaired; panel += kStreams) multiply_row<kStreams>(p, panel);
    for (; panel < unpaired; ++panel) multiply_row<1>(p, panel);
    if (panel < mine.end) multiply_panel(p, {0, 1}, panel, {0, p.shape.k});
  });
}

template <bool kTransposed>
void pack(float* packed, const float* b, const GemmShape& s) {
  const std::int64_t panels = divide_up(s.n, kPanel);
  const std::int64_t grain = std::max<std::int64_t>(1, kTaskWork / 8 / (s.k * kPanel + 1));
  parallel_for_range(panels, grain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t column = panel * kPanel, columns = std::min(kPanel, s.n - column);
      if constexpr (kTransposed)
        pack_panel_transposed(packed + column * s.k, b + column * s.k, columns, s.k, s.k);
      else
        pack_panel(packed + column * s.k, b + column, columns, s.n, s.k);
      pair_steps(packed + column * s.k, columns, s.k);
    }
  });
}

// c = a · b where b is read in place: a few rows of c.
void multiply_in_place(float* c, const float* a, const float* b, const GemmShape& s) {
  const std::int64_t panels = divide_up(s.n, kPanel);
  const std::int64_t grain = std::max<std::int64_t>(1, kTaskWork / (s.m * s.k * kPanel + 1));
  parallel_for_range(panels, grain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t column = panel * kPanel, columns = std::min(kPanel, s.n - column);
      for_each_tile({0, s.m}, [&](std::int64_t row, std::int64_t count) HWY_ATTR {
        run_tile(count,
                 {.a = a + row * s.k,
                  .a_stride = s.k,
                  .b = b + column,
                  .b_stride = s.n,
                  .steps = s.k,
                  .guarded = guarded_steps(columns, s.n, s.k)},
                 {.c = c + row * s.n + column,
                  .c_stride = s.n,
                  .columns = columns,
                  .accumulate = s.accumulate});
      });
    }
  });
}

float dot(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, std::int64_t count) {
  Vector sums[4] = {hn::Zero(lanes), hn::Zero(lanes), hn::Zero(lanes), hn::Zero(lanes)};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    HWY_UNROLL(4)
    for (int v = 0; v < 4; ++v)
      sums[v] = hn::MulAdd(hn::LoadU(lanes, a + i + v * kLanes),
                           hn::LoadU(lanes, b + i + v * kLanes), sums[v]);
  }
  for (; i < count; i += kLanes) {
    const std::int64_t rest = std::min(kLanes, count - i);
    sums[0] = hn::MulAdd(load_first(a + i, rest), load_first(b + i, rest), sums[0]);
  }
  const Vector sum = hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
  return hn::GetLane(hn::SumOfLanes(lanes, sum));
}

// c = a · bᵀ for very few rows: both are read along k.
void multiply_dots(float* c, const float* a, const float* b, const GemmShape& s) {
  const std::int64_t grain = std::max<std::int64_t>(1, kTaskWork / 4 / (s.m * s.k + 1));
  parallel_for_range(s.n, grain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t j = begin; j < end; ++j)
      for (std::int64_t i = 0; i < s.m; ++i) {
        const float sum = dot(a + i * s.k, b + j * s.k, s.k);
        c[i * s.n + j] = s.accumulate ? c[i * s.n + j] + sum : sum;
      }
  });
}

template <bool kTransposed>
void multiply_packing(float* c, const float* a, const float* b, const GemmShape& s) {
  float* packed = scratch(Scratch::packed, packed_gemm_size(s.k, s.n));
  pack<kTransposed>(packed, b, s);
  multiply_packed({a, packed, {.c = c, .c_stride = s.n, .accumulate = s.accumulate}, s});
}

// --- aᵀ · b: the gradient of weights. k counts positions of a batch and is long, c is small. ---

// Steps whose rows of a and b stay in the first-level cache while tiles of c walk over them. Sums
// over one run start from zero, which also keeps long sums exact. Part of the result's bytes.
constexpr std::int64_t kRun = kStepsAhead;
// Steps that one part of k holds at least, and most parts. Parts are summed in order.
constexpr std::int64_t kPartSteps = 8 * kRun, kMostParts = 16;

}  // namespace

void multiply_transposed(float* c, const float* a, const float* b, const GemmShape& s, Range steps,
                         Range rows, bool accumulate, Upcoming* upcoming) {
  for (std::int64_t k = steps.begin; k == steps.begin || k < steps.end; k += kRun) {
    const std::int64_t run = std::min(kRun, steps.end - k);
    const bool add = accumulate || k > steps.begin;
    for (std::int64_t column = 0; column < s.n; column += kPanel) {
      const std::int64_t columns = std::min(kPanel, s.n - column);
      // Rows after this run follow in memory, except after the last.
      const std::int64_t behind = s.k - k - run;
      const std::int64_t guarded =
          std::clamp<std::int64_t>(guarded_steps(columns, s.n, s.k) - behind, 0, run);
      for_each_tile(rows, [&](std::int64_t row, std::int64_t count) HWY_ATTR {
        float* to = c + row * s.n + column;
        run_column_tile(
            count,
            {.a = a + k * s.m + row,
             .a_stride = s.m,
             .b = b + k * s.n + column,
             .b_stride = s.n,
             .steps = run,
             .guarded = guarded,
             .fetch = upcoming ? upcoming->take(run) : nullptr},
            {.c = to, .c_stride = s.n, .columns = columns, .residual = add ? to : nullptr});
      });
    }
  }
}

namespace {

// Rows of a whose products are held at once to be averaged.
constexpr std::int64_t kPoolRows = 4 * kTileRows;

// y[columns of one panel] = mean over `positions` rows of activation(a · packed + bias)
void average_panel(float* y, const PackedProduct& p, std::int64_t panel, std::int64_t positions) {
  const GemmShape& s = p.shape;
  const std::int64_t column = panel * kPanel, columns = std::min(kPanel, s.n - column);
  HWY_ALIGN float rows[kPoolRows * kPanel];
  HWY_ALIGN float sums[kPanel] = {};
  Upcoming next(p.packed + (column + kPanel) * s.k, column + kPanel < s.n ? s.k * kPanel : 0);
  for (std::int64_t begin = 0; begin < positions; begin += kPoolRows) {
    const Range block = {begin, std::min(begin + kPoolRows, positions)};
    for_each_tile(block, [&](std::int64_t row, std::int64_t count) HWY_ATTR {
      run_tile(count,
               {.a = p.a + row * s.k,
                .a_stride = s.k,
                .b = p.packed + column * s.k,
                .b_stride = kPanel,
                .steps = s.k,
                .fetch = next.take(s.k),
                .paired = pairs_steps(columns)},
               {.c = rows + (row - begin) * kPanel,
                .c_stride = kPanel,
                .columns = columns,
                .bias = p.out.bias ? p.out.bias + column : nullptr,
                .activation = p.out.activation});
    });
    for (std::int64_t row = 0; row < block.end - block.begin; ++row)
      for (std::int64_t j = 0; j < columns; ++j) sums[j] += rows[row * kPanel + j];
  }
  for (std::int64_t j = 0; j < columns; ++j)
    y[column + j] = sums[j] / static_cast<float>(positions);
}

}  // namespace

void gemm(float* c, const float* a, const float* b, GemmShape shape) {
  if (shape.m <= 0 || shape.n <= 0) return;
  if (shape.m <= 2 * kTileRows)
    multiply_in_place(c, a, b, shape);
  else
    multiply_packing<false>(c, a, b, shape);
}

void gemm_nt(float* c, const float* a, const float* b, GemmShape shape) {
  if (shape.m <= 0 || shape.n <= 0) return;
  if (shape.m <= 3)
    multiply_dots(c, a, b, shape);
  else
    multiply_packing<true>(c, a, b, shape);
}

void gemm_tn(float* c, const float* a, const float* b, GemmShape shape) {
  const GemmShape& s = shape;
  if (s.m <= 0 || s.n <= 0) return;
  const std::int64_t parts = std::clamp<std::int64_t>(s.k / kPartSteps, 1, kMostParts);
  const std::int64_t tiles = divide_up(s.m, kTileRows);
  const std::int64_t wanted = std::clamp<std::int64_t>(s.m * s.n * s.k / kTaskWork, 1, kMostTasks);
  const std::int64_t blocks = std::min(tiles, divide_up(wanted, parts));
  float* partials = parts == 1 ? c : scratch(Scratch::partials, parts * s.m * s.n);
  parallel_for(parts * blocks, [&](std::int64_t task) HWY_ATTR {
    const Range block = part(tiles, blocks, task % blocks);
    multiply_transposed(partials + task / blocks * s.m * s.n, a, b, s,
                        part(s.k, parts, task / blocks),
                        {block.begin * kTileRows, std::min(block.end * kTileRows, s.m)},
                        parts == 1 && s.accumulate);
  });
  if (parts > 1) add_partials(c, partials, parts, s.m * s.n, s.accumulate);
}

void pack_gemm(float* packed, const float* b, GemmShape shape) { pack<false>(packed, b, shape); }

void pack_gemm_transposed(float* packed, const float* b, GemmShape shape) {
  pack<true>(packed, b, shape);
}

void packed_gemm(float* c, const float* a, const float* packed, const float* bias,
                 const float* residual, Activation activation, GemmShape shape) {
  if (shape.m <= 0 || shape.n <= 0) return;
  const PackedProduct p = {
      a,
      packed,
      {.c = c, .c_stride = shape.n, .bias = bias, .residual = residual, .activation = activation},
      shape};
  if (shape.m == 1)
    multiply_row(p);
  else
    multiply_packed(p);
}

void pointwise_average_pool(float* y, const float* x, const float* packed, const float* bias,
                            Activation activation, std::int64_t positions, GemmShape shape) {
  const std::int64_t panels = divide_up(shape.n, kPanel), pictures = shape.m / positions;
  // All pictures of a panel in one task: weights outweigh activations here.
  const std::int64_t grain = std::clamp<std::int64_t>(kTaskWork / (shape.m * shape.k * kPanel + 1),
                                                      1, divide_up(panels, 8));
  parallel_for_range(panels, grain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t panel = begin; panel < end; ++panel)
      for (std::int64_t picture = 0; picture < pictures; ++picture)
        average_panel(y + picture * shape.n,
                      {x + picture * positions * shape.k,
                       packed,
                       {.c = nullptr, .c_stride = 0, .bias = bias, .activation = activation},
                       shape},
                      panel, positions);
  });
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
