// The inverted residual block as one kernel: expansion, depthwise convolution and projection of a
// few panels of channels over a few rows at a time, so that nothing between x and y leaves the
// second-level cache. kernels/README.md draws it.
//
//   for blocks of a few panels of expanded channels:    weights come from memory once
//     for steps of output rows:
//       for panels of the block:
//         expand the input rows that this step needs for the first time   x -> ring[panel]
//         filter them                                          ring[panel] -> filtered[panel]
//       y += filtered · project[block]
#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/inverted_residual.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/depthwise-inl.h"
#include "kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {
namespace {

// Panels of a block at most. More of them: y is read and written less often.
// Fewer: the ring takes less cache.
constexpr std::int64_t kMostBlockPanels = 6;

std::int64_t panels_of(std::int64_t channels) { return divide_up(channels, kPanel); }

// Where the weights lie in a pack. Panels of channels are filled up with zeros.
template <class Number>
struct Layout {
  Number* expand;          // [panel][in][kPanel]
  Number* expand_bias;     // [panel][kPanel]
  Number* depthwise;       // [panel][9][kPanel]
  Number* depthwise_bias;  // [panel][kPanel]
  Number* project;         // [panel of out][expanded][kPanel]
  Number* project_bias;    // [panel of out][kPanel]
};

template <class Number>
Layout<Number> layout(Number* packed, const InvertedResidualShape& s) {
  const std::int64_t expanded = panels_of(s.expanded_channels) * kPanel;
  Layout<Number> l;
  l.expand = packed;
  l.expand_bias = l.expand + (s.expand ? s.in_channels * expanded : 0);
  l.depthwise = l.expand_bias + (s.expand ? expanded : 0);
  l.depthwise_bias = l.depthwise + 9 * expanded;
  l.project = l.depthwise_bias + expanded;
  l.project_bias = l.project + s.expanded_channels * panels_of(s.out_channels) * kPanel;
  return l;
}

// How the work is cut. Only `groups` touches the result: the expanded channels are dealt to groups
// whose sums are added at the end.
struct Plan {
  std::int64_t pictures;      // in a task
  std::int64_t strips;        // of output rows in a picture
  std::int64_t groups;        // of panels
  std::int64_t block_panels;  // whose share of y is summed in registers
  std::int64_t step;          // output rows between two passes over the panels of a block
  std::int64_t ring_rows;     // input rows that stay
  std::int64_t ring_width;    // their positions, padding included
};

struct Block {
  float* y;
  float* partials;  // sums of groups 1, 2, …: [group][batch, oh, ow, out]
  const float* x;
  Layout<const float> w;
  InvertedResidualShape shape;
  Plan plan;

  std::int64_t positions() const { return shape.out_height * shape.out_width; }
};

std::int64_t input_row(const InvertedResidualShape& s, std::int64_t oy) {
  return oy * s.stride - s.pad_top;
}

// Output rows [rows) of the pictures of one task for a group of panels, and the memory it needs.
struct Worker {
  const Block& b;
  std::int64_t picture;
  Range panels;     // of the block
  float* sums;      // of this group: [batch, oh, ow, out]
  bool first;       // the first block of a group: sums begin
  bool with_bias;   // they begin with the bias
  bool last;        // the residual comes on top
  float* ring;      // [panel][ring_rows][ring_width][kPanel]
  float* filtered;  // [panel][step · ow][kPanel]

  const InvertedResidualShape& shape() const { return b.shape; }
  std::int64_t columns(std::int64_t panel) const {
    const std::int64_t rest = shape().expanded_channels - panel * kPanel;
    return std::min(kPanel, divide_up(rest, kLanes) * kLanes);
  }
  std::int64_t ring_panel() const { return b.plan.ring_rows * b.plan.ring_width * kPanel; }
  std::int64_t filtered_panel() const { return b.plan.step * shape().out_width * kPanel; }
  float* ring_position(std::int64_t panel, std::int64_t iy, std::int64_t ix) const {
    return ring + (panel - panels.begin) * ring_panel() +
           (iy % b.plan.ring_rows * b.plan.ring_width + ix + shape().pad_left) * kPanel;
  }
};

// What project() reads first of a block, and what expand() reads of a panel.
Upcoming projection_of(const Worker& w, std::int64_t column) {
  const std::int64_t begin = w.panels.begin * kPanel;
  const std::int64_t end = std::min(w.panels.end * kPanel, w.shape().expanded_channels);
  return {w.b.w.project + column * w.shape().expanded_channels + begin * kPanel,
          (end - begin) * kPanel};
}

Upcoming expansion_of(const Worker& w, std::int64_t panel) {
  const std::int64_t size = w.shape().in_channels * kPanel;
  return {w.b.w.expand + panel * size, w.shape().expand ? size : 0};
}

// Input rows [rows) of one panel into the ring.
void expand(const Worker& w, std::int64_t panel, Range rows) {
  const InvertedResidualShape& s = w.shape();
  Upcoming next = panel + 1 < w.panels.end ? expansion_of(w, panel + 1) : projection_of(w, 0);
  const float* x = w.b.x + w.picture * s.in_height * s.in_width * s.in_channels;
  const Range positions = {rows.begin * s.in_width, rows.end * s.in_width};
  for_each_tile(positions, [&](std::int64_t position, std::int64_t count) HWY_ATTR {
    std::int64_t iy = position / s.in_width, ix = position % s.in_width;
    TileOutput out = {.c = w.ring_position(panel, iy, ix),
                      .c_stride = kPanel,
                      .columns = w.columns(panel),
                      .bias = w.b.w.expand_bias + panel * kPanel,
                      .activation = Activation::relu6};
    float* places[kTileRows];
    if (ix + count > s.in_width) {
      for (std::int64_t i = 0; i < count; ++i, ++ix) {
        if (ix == s.in_width) ix = 0, ++iy;
        places[i] = w.ring_position(panel, iy, ix);
      }
      out.c_rows = places;
    }
    run_tile<RowCursor>(count,
                        {.a = x + position * s.in_channels,
                         .a_stride = s.in_channels,
                         .b = w.b.w.expand + panel * s.in_channels * kPanel,
                         .b_stride = kPanel,
                         .steps = s.in_channels,
                         .fetch = next.take(s.in_channels)},
                        out);
  });
}

// The same without expansion.
void copy(const Worker& w, std::int64_t panel, Range rows) {
  const InvertedResidualShape& s = w.shape();
  const std::int64_t channels = std::min(kPanel, s.in_channels - panel * kPanel);
  for (std::int64_t iy = rows.begin; iy < rows.end; ++iy) {
    const float* from =
        w.b.x + (w.picture * s.in_height + iy) * s.in_width * s.in_channels + panel * kPanel;
    float* to = w.ring_position(panel, iy, 0);
    for (std::int64_t ix = 0; ix < s.in_width; ++ix, from += s.in_channels, to += kPanel) {
      if (channels == kPanel)
        for (std::int64_t c = 0; c < kPanel; c += kLanes)
          hn::StoreU(hn::LoadU(lanes, from + c), lanes, to + c);
      else
        for (std::int64_t c = 0; c < channels; c += kLanes)
          hn::StoreU(load_first(from + c, std::min(kLanes, channels - c)), lanes, to + c);
    }
  }
}

void filter(const Worker& w, std::int64_t panel, Range rows) {
  const InvertedResidualShape& s = w.shape();
  float* out = w.filtered + (panel - w.panels.begin) * w.filtered_panel();
  for (std::int64_t oy = rows.begin; oy < rows.end; ++oy, out += s.out_width * kPanel) {
    const std::int64_t top = input_row(s, oy);
    const std::int64_t first = std::max<std::int64_t>(top, 0);
    const std::int64_t end = std::max(first, std::min(top + 3, s.in_height));
    DepthwiseInput in = {.rows = {},
                         .row_count = static_cast<int>(end - first),
                         .position_stride = kPanel,
                         .weights = w.b.w.depthwise + (panel * 9 + (first - top) * 3) * kPanel,
                         .tap_stride = kPanel,
                         .bias = w.b.w.depthwise_bias + panel * kPanel,
                         .activation = Activation::relu6};
    for (std::int64_t iy = first; iy < end; ++iy)
      in.rows[iy - first] = w.ring_position(panel, iy, -s.pad_left);
    depthwise_run<kPanel>(in, s.stride, s.out_width, out, kPanel, w.columns(panel));
  }
}

void project(const Worker& w, Range rows) {
  const InvertedResidualShape& s = w.shape();
  const std::int64_t channel = w.panels.begin * kPanel;
  const std::int64_t channels = std::min(w.panels.end * kPanel, s.expanded_channels) - channel;
  const std::int64_t whole = channels / kPanel, rest = channels % kPanel;
  const std::int64_t base = w.picture * w.b.positions() + rows.begin * s.out_width;
  for (std::int64_t column = 0; column < s.out_channels; column += kPanel) {
    const float* weights = w.b.w.project + column * s.expanded_channels + channel * kPanel;
    Upcoming next = column + kPanel < s.out_channels ? projection_of(w, column + kPanel)
                                                     : expansion_of(w, w.panels.end);
    for_each_tile({0, (rows.end - rows.begin) * s.out_width},
                  [&](std::int64_t position, std::int64_t count) HWY_ATTR {
                    const std::int64_t at = (base + position) * s.out_channels + column;
                    TileOutput out = {.c = w.sums + at,
                                      .c_stride = s.out_channels,
                                      .columns = std::min(kPanel, s.out_channels - column),
                                      .bias = w.with_bias ? w.b.w.project_bias + column : nullptr,
                                      .accumulate = !w.first};
                    const float* residual = w.last && s.residual ? w.b.x + at : nullptr;
                    TileInput in = {.a = w.filtered + position * kPanel,
                                    .a_stride = kPanel,
                                    .b = weights,
                                    .b_stride = kPanel,
                                    .steps = kPanel,
                                    .segments = whole,
                                    .segment_step = w.filtered_panel(),
                                    .fetch = next.take(channels)};
                    if (whole > 0) {
                      out.residual = rest == 0 ? residual : nullptr;
                      run_tile<RowCursor>(count, in, out);
                      out.accumulate = true;
                    }
                    if (rest > 0) {
                      out.residual = residual;
                      in.a += whole * w.filtered_panel();
                      in.b += whole * kPanel * kPanel;
                      in.steps = rest;
                      in.segments = 1;
                      run_tile<RowCursor>(count, in, out);
                    }
                  });
  }
}

void run_rows(const Worker& w, Range rows) {
  const InvertedResidualShape& s = w.shape();
  std::int64_t made = std::max<std::int64_t>(0, input_row(s, rows.begin));
  for (std::int64_t oy = rows.begin; oy < rows.end; oy += w.b.plan.step) {
    const Range step = {oy, std::min(oy + w.b.plan.step, rows.end)};
    const std::int64_t needed = std::min(s.in_height, input_row(s, step.end - 1) + 3);
    for (std::int64_t panel = w.panels.begin; panel < w.panels.end; ++panel) {
      if (needed > made) (s.expand ? expand : copy)(w, panel, {made, needed});
      filter(w, panel, step);
    }
    made = std::max(made, needed);
    project(w, step);
  }
}

// The columns left and right of the pictures, which nothing else writes.
void clear_padding(float* ring, const InvertedResidualShape& s, const Plan& plan) {
  const std::int64_t left = s.pad_left * kPanel, right = left + s.in_width * kPanel;
  for (std::int64_t row = 0; row < plan.block_panels * plan.ring_rows; ++row) {
    float* begin = ring + row * plan.ring_width * kPanel;
    std::fill(begin, begin + left, 0.0f);
    std::fill(begin + right, begin + plan.ring_width * kPanel, 0.0f);
  }
}

void run_task(const Block& b, std::int64_t task) {
  const InvertedResidualShape& s = b.shape;
  const Plan& plan = b.plan;
  const std::int64_t group = task % plan.groups, strip = task / plan.groups % plan.strips;
  const std::int64_t first = task / plan.groups / plan.strips * plan.pictures;
  const Range pictures = {first, std::min(first + plan.pictures, s.batch)};
  const Range rows = part(s.out_height, plan.strips, strip);
  const Range panels = part(panels_of(s.expanded_channels), plan.groups, group);
  const std::int64_t ring_size = plan.block_panels * plan.ring_rows * plan.ring_width * kPanel;
  const std::int64_t filtered_size = plan.block_panels * plan.step * s.out_width * kPanel;
  float* memory = scratch(Scratch::task, ring_size + filtered_size);
  clear_padding(memory, s, plan);
  const std::int64_t size = s.batch * b.positions() * s.out_channels;
  for (std::int64_t panel = panels.begin; panel < panels.end; panel += plan.block_panels)
    for (std::int64_t picture = pictures.begin; picture < pictures.end; ++picture) {
      const Range block = {panel, std::min(panel + plan.block_panels, panels.end)};
      run_rows({.b = b,
                .picture = picture,
                .panels = block,
                .sums = group == 0 ? b.y : b.partials + (group - 1) * size,
                .first = panel == panels.begin,
                .with_bias = group == 0,
                .last = plan.groups == 1 && block.end == panels.end,
                .ring = memory,
                .filtered = memory + ring_size},
               rows);
    }
}

Plan plan_of(const InvertedResidualShape& s) {
  const std::int64_t positions = s.out_height * s.out_width;
  const std::int64_t panels = panels_of(s.expanded_channels);
  Plan plan;
  // Small pictures: weights outweigh activations. A task takes several pictures for one look at
  // the weights, and if there is one picture only, half of the channels.
  const bool small = positions <= 14 * 14;
  plan.groups = small && s.batch == 1 && panels >= 4 ? 2 : 1;
  plan.block_panels = std::min(kMostBlockPanels, divide_up(panels, plan.groups));
  const std::int64_t workers = threads();
  plan.pictures = small ? std::clamp<std::int64_t>(s.batch / (2 * workers), 1, 4) : 1;
  const std::int64_t tasks = plan.groups * divide_up(s.batch, plan.pictures);
  // Strips compute the rows at their borders twice, so there are as few as the threads need.
  plan.strips = tasks >= 4 * workers || tasks % workers == 0
                    ? 1
                    : std::clamp<std::int64_t>(divide_up(workers, plan.groups), 1, s.out_height);
  plan.ring_width = std::max((s.out_width - 1) * s.stride + 3, s.in_width + s.pad_left);
  const std::int64_t rows = divide_up(s.out_height, plan.strips);
  const std::int64_t row_bytes = plan.block_panels * kPanel * std::int64_t{sizeof(float)} *
                                 (plan.ring_width * s.stride + s.out_width);
  plan.step = std::clamp<std::int64_t>(cache_sizes().level2 / 4 / row_bytes, 1, rows);
  plan.ring_rows = (plan.step - 1) * s.stride + 3;
  return plan;
}

// y = y + partials + residual
void add_groups(const Block& b) {
  const InvertedResidualShape& s = b.shape;
  const std::int64_t count = s.batch * b.positions() * s.out_channels;
  parallel_for_range(count, std::int64_t{1} << 14,
                     [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                       for (std::int64_t i = begin; i < end; i += kLanes) {
                         const std::int64_t rest = std::min(kLanes, end - i);
                         Vector sum = load_first(b.y + i, rest);
                         for (std::int64_t g = 0; g + 1 < b.plan.groups; ++g)
                           sum = hn::Add(sum, load_first(b.partials + g * count + i, rest));
                         if (s.residual) sum = hn::Add(sum, load_first(b.x + i, rest));
                         store_first(sum, b.y + i, rest);
                       }
                     });
}

void pack_matrix(float* packed, const float* b, std::int64_t k, std::int64_t n) {
  for (std::int64_t column = 0; column < n; column += kPanel)
    pack_panel(packed + column * k, b + column, std::min(kPanel, n - column), n, k);
}

}  // namespace

void pack_inverted_residual(float* packed, const float* expand, const float* expand_bias,
                            const float* depthwise, const float* depthwise_bias,
                            const float* project, const float* project_bias,
                            InvertedResidualShape shape) {
  const Layout<float> l = layout(packed, shape);
  const std::int64_t expanded = shape.expanded_channels;
  if (shape.expand) {
    pack_matrix(l.expand, expand, shape.in_channels, expanded);
    pack_matrix(l.expand_bias, expand_bias, 1, expanded);
  }
  pack_matrix(l.depthwise, depthwise, 9, expanded);
  pack_matrix(l.depthwise_bias, depthwise_bias, 1, expanded);
  pack_matrix(l.project, project, expanded, shape.out_channels);
  pack_matrix(l.project_bias, project_bias, 1, shape.out_channels);
}

void inverted_residual(float* y, const float* x, const float* packed, InvertedResidualShape shape) {
  const InvertedResidualShape& s = shape;
  if (s.batch * s.out_height * s.out_width * s.out_channels <= 0) return;
  Block b = {
      .y = y, .partials = nullptr, .x = x, .w = layout(packed, s), .shape = s, .plan = plan_of(s)};
  if (b.plan.groups > 1)
    b.partials =
        scratch(Scratch::partials, (b.plan.groups - 1) * s.batch * b.positions() * s.out_channels);
  parallel_for(divide_up(s.batch, b.plan.pictures) * b.plan.strips * b.plan.groups,
               [&](std::int64_t task) HWY_ATTR { run_task(b, task); });
  if (b.plan.groups > 1) add_groups(b);
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
