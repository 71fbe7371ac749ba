// The inverted residual block: how it is cut for the kernel of cuda/fused_block.h, and the block
// layer by layer, where there are no tensor cores or a tile does not fit in shared memory.
#include <algorithm>
#include <optional>

#include "cuda/fused_block.h"
#include "cuda/multiply.h"
#include "cuda/pad_columns.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

template <typename Number>
BlockWeights<Number> weights_in(Number* packed, const InvertedResidualShape& s) {
  const int expanded = narrow(s.expanded_channels), steps = narrow(s.expand_steps());
  BlockWeights<Number> w = {};
  w.expand_columns = packed_columns(expanded);
  // Without an expansion the depthwise convolution has the channels of x, as they lie.
  w.depthwise_columns = s.expand ? w.expand_columns : expanded;
  w.project_columns = packed_columns(narrow(s.out_channels));
  w.expand = packed;
  w.expand_bias = w.expand + (s.expand ? std::int64_t{steps} * w.expand_columns : 0);
  w.depthwise = w.expand_bias + (s.expand ? w.expand_columns : 0);
  w.depthwise_bias = w.depthwise + 9 * std::int64_t{w.depthwise_columns};
  // Behind room for padded rows, so that vectors stay aligned.
  w.project = w.depthwise + 10 * std::int64_t{w.expand_columns};
  w.project_bias = w.project + std::int64_t{expanded} * w.project_columns;
  return w;
}

BlockSize size_of(const InvertedResidualShape& s) {
  return {.in_height = narrow(s.in_height),
          .in_width = narrow(s.in_width),
          .in_channels = narrow(s.in_channels),
          .middle_height = narrow(s.middle_height()),
          .middle_width = narrow(s.middle_width()),
          .out_height = narrow(s.out_height),
          .out_width = narrow(s.out_width),
          .out_channels = narrow(s.out_channels),
          .expanded = narrow(s.expanded_channels),
          .steps = s.expand ? narrow(s.expand_steps()) : 0,
          .stride = s.stride,
          .pad_top = s.pad_top,
          .pad_left = s.pad_left,
          .kernel = s.expand_kernel,
          .kernel_stride = s.expand_stride,
          .kernel_pad_top = s.expand_pad_top,
          .kernel_pad_left = s.expand_pad_left,
          .activation = s.activation};
}

// --- The kernel's plan ---

// 16 output channels each; the first that is enough is taken.
constexpr int kOutTiles[] = {2, 4, 6, 10, 20};

std::optional<int> out_tiles(int out_channels) {
  for (const int tiles : kOutTiles)
    if (out_channels <= 16 * tiles) return tiles;
  return std::nullopt;
}

// A plan for tiles of this size, without the cut of channels.
BlockPlan plan_of(const BlockSize& s, int tile_height, int tile_width, int columns) {
  BlockPlan p = {};
  p.tile_height = tile_height, p.tile_width = tile_width;
  p.patch_height = (tile_height - 1) * s.stride + 3;
  p.patch_width = (tile_width - 1) * s.stride + 3;
  p.tiles_down = ceil_div(s.out_height, tile_height);
  p.tiles_across = ceil_div(s.out_width, tile_width);
  p.patch_rows = ceil_div(p.patch_height * p.patch_width, 16) * 16;
  const int steps = ceil_div(s.steps, 8) * 8;
  p.x_stride = steps + 4;
  int at = s.steps > 0 ? p.patch_rows * p.x_stride : 0;
  const auto place = [&](int floats) { return std::exchange(at, at + floats); };
  p.expand = place(s.steps > 0 ? (steps + 1) * kExpandedStride : 0);
  p.expanded = place(p.patch_rows * kExpandedStride);
  p.filtered = place(kTileSize * kFilteredStride);
  p.depthwise = place(10 * kChunk);
  p.project = place(kChunk * (columns + 8));
  p.inside = place(p.patch_rows);
  p.total = std::max(at, kTileSize * (columns + 8));
  return p;
}

// Cuts the expanded channels where tiles alone would leave multiprocessors idle.
void cut_channels(BlockPlan& p, const BlockSize& s, int batch) {
  const int chunks = ceil_div(s.expanded, kChunk);
  const int blocks = narrow(std::int64_t{p.tiles()} * batch);
  p.chunks = ceil_div(chunks, std::clamp(ceil_div(kFewTiles, blocks), 1, chunks));
}

// How long a plan takes, in multiply-adds of tensor cores; the constants say what filtering and
// waiting cost beside them. A device of 132 multiprocessors, as an H100 has, decides which plan is
// taken on all devices.
std::int64_t cost(const BlockSize& s, const BlockPlan& p, int batch, int columns) {
  constexpr std::int64_t filtering = 4096, waiting = 4096, starting = 8192, multiprocessors = 132;
  const int outputs = p.tile_height * p.tile_width;
  const int items = ceil_div(p.tile_height, 2) * p.tile_width * (kChunk / 4);
  const std::int64_t chunk = std::int64_t{p.patch_rows} * (s.steps + 8) +
                             std::int64_t{ceil_div(outputs, 16) * 16} * columns +
                             filtering * ceil_div(items, kBlockThreads) + waiting;
  const std::int64_t blocks =
      std::int64_t{p.tiles()} * batch * ceil_div(ceil_div(s.expanded, kChunk), p.chunks);
  return std::max(blocks, multiprocessors) *
         (p.chunks * chunk + starting + std::int64_t{p.patch_rows} * s.steps);
}

// The cheapest plan that fits the device's shared memory; none where nothing does.
std::optional<BlockPlan> plan_for(const BlockSize& s, int batch) {
  const std::optional<int> tiles = out_tiles(s.out_channels);
  if (!tiles || s.expanded == 0) return std::nullopt;
  const int columns = *tiles * 16;
  std::optional<BlockPlan> best;
  const int tallest = std::min(kTileSize, s.out_height);
  for (int height = 1; height <= tallest; ++height)
    for (int width = std::min(kTileSize / height, s.out_width); width > 0; width /= 2) {
      BlockPlan p = plan_of(s, height, width, columns);
      if (p.total * sizeof(float) > most_shared_bytes()) continue;
      cut_channels(p, s, batch);
      if (!best || cost(s, p, batch, columns) < cost(s, *best, batch, columns)) best = p;
    }
  return best;
}

template <int kTiles>
void launch_block(dim3 grid, const BlockArguments& arguments) {
  launch(&fused_block_kernel<kTiles>, grid, dim3(kBlockThreads),
         arguments.plan.total * sizeof(float), arguments);
}

void launch_block(dim3 grid, const BlockArguments& arguments) {
  switch (*out_tiles(arguments.size.out_channels)) {
    case 2:
      return launch_block<2>(grid, arguments);
    case 4:
      return launch_block<4>(grid, arguments);
    case 6:
      return launch_block<6>(grid, arguments);
    case 10:
      return launch_block<10>(grid, arguments);
    default:
      return launch_block<20>(grid, arguments);
  }
}

void run_fused(const float* x, const float* packed, const InvertedResidualShape& s,
               const BlockPlan& plan, const Store& result) {
  BlockArguments a = {};
  a.x = x;
  a.whole = s.in_channels % 4 == 0 && aligned(x);
  a.weights = weights_in(packed, s);
  a.whole_weights = aligned(packed);
  a.whole_depthwise = aligned(packed) && a.weights.depthwise_columns % 4 == 0;
  a.size = size_of(s);
  a.plan = plan;
  a.store = result;
  const int parts = ceil_div(a.size.expanded, plan.chunks * kChunk);
  const std::int64_t vectors = std::int64_t{result.m} * ceil_div(result.n, 4);
  if (parts > 1) a.store.parts = workspace(Workspace::split_k, parts * vectors * 4);
  launch_block(dim3(plan.tiles() * narrow(s.batch), parts), a);
  if (parts > 1) sum_parts(a.store, parts);
}

// --- One layer after another, where there are no tensor cores or no plan fits ---

void run_layers(const float* x, const float* packed, const InvertedResidualShape& s,
                const Store& result) {
  const BlockWeights<const float> w = weights_in(packed, s);
  const std::int64_t in = s.batch * s.middle_height() * s.middle_width();
  // With the padding of the weights, whose channels stay zero.
  const std::int64_t channels = w.depthwise_columns;
  float* expanded = workspace(Workspace::block, (in + result.m) * channels);
  float* filtered = expanded + in * channels;
  if (s.expand)
    packed_conv2d(expanded, x, w.expand, w.expand_bias, s.activation, s.expand_shape(channels));
  depthwise3x3(filtered, s.expand ? expanded : x, w.depthwise, w.depthwise_bias, s.activation,
               s.depthwise_shape(channels));
  const int k = narrow(s.expanded_channels);
  multiply_matrices(Rows{{filtered, result.m, narrow(channels)}},
                    Columns{{w.project, k, w.project_columns}}, result, k);
}

}  // namespace

void pack_inverted_residual(float* packed, const float* expand, const float* expand_bias,
                            const float* depthwise, const float* depthwise_bias,
                            const float* project, const float* project_bias,
                            InvertedResidualShape s) {
  const BlockWeights<float> w = weights_in(packed, s);
  const int expanded = narrow(s.expanded_channels), out = narrow(s.out_channels);
  if (s.expand) {
    pad_columns(w.expand, expand, narrow(s.expand_steps()), expanded, w.expand_columns);
    pad_columns(w.expand_bias, expand_bias, 1, expanded, w.expand_columns);
  }
  pad_columns(w.depthwise, depthwise, 9, expanded, w.depthwise_columns);
  pad_columns(w.depthwise_bias, depthwise_bias, 1, expanded, w.depthwise_columns);
  pad_columns(w.project, project, expanded, out, w.project_columns);
  pad_columns(w.project_bias, project_bias, 1, out, w.project_columns);
}

void inverted_residual(float* y, const float* x, const float* packed, InvertedResidualShape s) {
  const BlockSize size = size_of(s);
  const int rows = narrow(s.batch * s.out_height * s.out_width);
  if (rows == 0 || size.out_channels == 0) return;
  const Store result = Store{.c = y,
                             .m = rows,
                             .n = size.out_channels,
                             .bias = weights_in(packed, s).project_bias,
                             .residual = s.residual ? x : nullptr,
                             .activation = s.out_activation}
                           .vectorised();
  const std::optional<BlockPlan> plan = has_tf32() ? plan_for(size, narrow(s.batch)) : std::nullopt;
  if (plan)
    run_fused(x, packed, s, *plan, result);
  else
    run_layers(x, packed, s, result);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
