// The inverted residual block as one kernel: expansion, depthwise convolution and projection of a
// few panels of channels over a few rows at a time. What is expanded stays in the first-level cache
// until it is filtered, what is filtered in the second-level cache until it is projected.
// kernels/README.md draws it.
//
//   for blocks of a few panels of expanded channels:    weights come from memory once
//     for steps of output rows:
//       for panels of the block:
//         for a few rows (and, of wide pictures, a part of their columns) at a time:
//           expand the input rows that these need for the first time   x -> ring[panel]
//           filter them                                    ring[panel] -> filtered[..., panel]
//       y += filtered · project[block]
#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/inverted_residual.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/conv-inl.h"
#include "kernels/depthwise-inl.h"
#include "kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

// Panels of a block at most. More of them: y is read and written less often.
// Fewer: the ring takes less cache.
constexpr std::int64_t kMostBlockPanels = 6;
// Output rows that are filtered at once, at most.
constexpr std::int64_t kMostRows = 32;

std::int64_t panels_of(std::int64_t channels) { return divide_up(channels, kPanel); }

// Where the weights lie in a pack. Panels of channels are filled up with zeros.
template <class Number>
struct Layout {
  Number* expand;          // [panel][expand_steps][kPanel]
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
  l.expand_bias = l.expand + (s.expand ? s.expand_steps() * expanded : 0);
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
  std::int64_t rows;          // output rows that are filtered at once
  std::int64_t ring_rows;     // input rows that stay
  std::int64_t segments;      // of output columns
  std::int64_t ring_width;    // positions of a segment, padding included
  bool one_ring;              // for all panels, or each and each segment its own

  std::int64_t ring_pitch() const { return ring_width * kPanel; }
  std::int64_t ring_size() const { return ring_rows * ring_pitch(); }
  std::int64_t rings() const { return one_ring ? 1 : block_panels * segments; }
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

std::int64_t input_column(const InvertedResidualShape& s, std::int64_t ox) {
  return ox * s.stride - s.pad_left;
}

// One panel over one segment of columns.
struct Piece {
  std::int64_t panel, segment;
  Range outputs, inputs;  // columns; inputs: those that exist
  std::int64_t left;      // the column of a ring's first position; may lie outside the picture

  std::int64_t width() const { return inputs.end - inputs.begin; }
};

Piece piece_of(const InvertedResidualShape& s, const Plan& plan, std::int64_t panel,
               std::int64_t segment) {
  const Range outputs = part(s.out_width, plan.segments, segment);
  const std::int64_t left = input_column(s, outputs.begin);
  const std::int64_t end = input_column(s, outputs.end - 1) + 3;
  // All columns where there is one segment: what is not needed shares the tiles.
  if (plan.segments == 1) return {panel, segment, outputs, {0, s.middle_width()}, left};
  return {panel,
          segment,
          outputs,
          {std::max<std::int64_t>(left, 0), std::min(end, s.middle_width())},
          left};
}

// What a task works in, from Scratch::task.
struct Memory {
  float* rings;     // [rings][ring_rows][ring_width][kPanel]
  float* zeros;     // a row for where there is none: [ring_width][kPanel]
  float* filtered;  // [step · ow][channels of the block]
};

// Output rows [rows) of one picture for a block of panels.
struct Worker {
  const Block& b;
  std::int64_t picture;
  Range panels;    // of the block
  float* sums;     // of this group: [batch, oh, ow, out]
  bool first;      // the first block of a group: sums begin
  bool with_bias;  // they begin with the bias
  bool last;       // the residual comes on top
  Memory memory;

  const InvertedResidualShape& shape() const { return b.shape; }
  // Channels of a panel, whole vectors of them.
  std::int64_t columns(std::int64_t panel) const {
    const std::int64_t rest = shape().expanded_channels - panel * kPanel;
    return std::min(kPanel, divide_up(rest, kLanes) * kLanes);
  }
  std::int64_t channels() const {
    return std::min(panels.end * kPanel, shape().expanded_channels) - panels.begin * kPanel;
  }
  // From one position of `filtered` to the next: whole vectors.
  std::int64_t filtered_stride() const { return divide_up(channels(), kLanes) * kLanes; }
  float* ring_row(const Piece& p, std::int64_t iy) const {
    const std::int64_t ring =
        b.plan.one_ring ? 0 : (p.panel - panels.begin) * b.plan.segments + p.segment;
    return memory.rings + ring * b.plan.ring_size() + iy % b.plan.ring_rows * b.plan.ring_pitch();
  }
  float* ring_position(const Piece& p, std::int64_t iy, std::int64_t ix) const {
    return ring_row(p, iy) + (ix - p.left) * kPanel;
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
  const std::int64_t size = w.shape().expand_steps() * kPanel;
  return {w.b.w.expand + panel * size, w.shape().expand ? size : 0};
}

// Where the rows that follow go.
Upcoming results_after(const Worker& w, Range rows) {
  const InvertedResidualShape& s = w.shape();
  const std::int64_t pitch = s.out_width * s.out_channels;
  const std::int64_t count = std::min(rows.end - rows.begin, s.out_height - rows.end);
  return {w.sums + (w.picture * s.out_height + rows.end) * pitch, count * pitch};
}

TileInput expansion_input(const Worker& w, const Piece& p, std::int64_t position,
                          const float* fetch) {
  const InvertedResidualShape& s = w.shape();
  return {.a = w.b.x + (w.picture * s.in_height * s.in_width + position) * s.in_channels,
          .a_stride = s.in_channels,
          .b = w.b.w.expand + p.panel * s.in_channels * kPanel,
          .b_stride = kPanel,
          .steps = s.in_channels,
          .fetch = fetch};
}

TileOutput expansion_output(const Worker& w, const Piece& p, std::int64_t iy, std::int64_t ix) {
  return {.c = w.ring_position(p, iy, ix),
          .c_stride = kPanel,
          .columns = w.columns(p.panel),
          .bias = w.b.w.expand_bias + p.panel * kPanel,
          .activation = w.shape().activation};
}

// Rows [rows) of one piece, tiles row by row.
void expand_by_rows(const Worker& w, const Piece& p, Range rows, Upcoming& next) {
  const InvertedResidualShape& s = w.shape();
  for (std::int64_t iy = rows.begin; iy < rows.end; ++iy)
    for_each_run(p.inputs, [&](std::int64_t ix, std::int64_t height, std::int64_t tiles) HWY_ATTR {
      run_tiles(height, tiles,
                expansion_input(w, p, iy * s.in_width + ix, next.take(tiles * s.in_channels)),
                expansion_output(w, p, iy, ix), height * kPanel);
    });
}

// The same for whole rows that are one tile each.
void expand_row_tiles(const Worker& w, const Piece& p, Range rows, Upcoming& next) {
  const InvertedResidualShape& s = w.shape();
  while (rows.begin < rows.end) {
    const std::int64_t until_wrap = w.b.plan.ring_rows - rows.begin % w.b.plan.ring_rows;
    const std::int64_t tiles = std::min(until_wrap, rows.end - rows.begin);
    run_tiles(s.in_width, tiles,
              expansion_input(w, p, rows.begin * s.in_width, next.take(tiles * s.in_channels)),
              expansion_output(w, p, rows.begin, 0), w.b.plan.ring_pitch());
    rows.begin += tiles;
  }
}

// The same for whole rows, with tiles that go on in the next row.
void expand_across_rows(const Worker& w, const Piece& p, Range rows, Upcoming& next) {
  const InvertedResidualShape& s = w.shape();
  const Range positions = {rows.begin * s.in_width, rows.end * s.in_width};
  for_each_tile(positions, [&](std::int64_t position, std::int64_t count) HWY_ATTR {
    std::int64_t iy = position / s.in_width, ix = position % s.in_width;
    TileOutput out = expansion_output(w, p, iy, ix);
    float* places[kTileRows];
    if (ix + count > s.in_width) {
      float* place = out.c;
      for (std::int64_t i = 0; i < count; ++i, ++ix, place += kPanel) {
        if (ix == s.in_width) ix = 0, place = w.ring_position(p, ++iy, 0);
        places[i] = place;
      }
      out.c_rows = places;
    }
    run_tile(count, expansion_input(w, p, position, next.take(s.in_channels)), out);
  });
}

// The same by a full convolution.
void expand_fully(const Worker& w, const Piece& p, Range rows) {
  const InvertedResidualShape& s = w.shape();
  const Picture picture = {w.b.x + w.picture * s.in_height * s.in_width * s.in_channels,
                           s.in_height, s.in_width, s.in_channels};
  const auto window = [&](Range outputs, int pad) {
    return Range{outputs.begin * s.expand_stride - pad,
                 (outputs.end - 1) * s.expand_stride - pad + s.expand_kernel};
  };
  const Strip strip = padded_strip(picture, window(rows, s.expand_pad_top),
                                   window(p.inputs, s.expand_pad_left), Scratch::strip);
  // What the next rows read comes from memory meanwhile.
  const std::int64_t pitch = s.in_width * s.in_channels, end = window(rows, s.expand_pad_top).end;
  Upcoming next(
      picture.positions + end * pitch,
      (std::min(end + (rows.end - rows.begin) * s.expand_stride, s.in_height) - end) * pitch);
  for (std::int64_t iy = rows.begin; iy < rows.end; ++iy) {
    const float* line = strip.first + (iy - rows.begin) * s.expand_stride * strip.pitch;
    for_each_run({0, p.width()},
                 [&](std::int64_t ix, std::int64_t height, std::int64_t tiles) HWY_ATTR {
                   run_tiles(height, tiles,
                             {.a = line + ix * s.expand_stride * s.in_channels,
                              .a_stride = s.expand_stride * s.in_channels,
                              .b = w.b.w.expand + p.panel * s.expand_steps() * kPanel,
                              .b_stride = kPanel,
                              .steps = s.expand_kernel * s.in_channels,
                              .groups = s.expand_kernel,
                              .group_step = strip.pitch,
                              .fetch = next.take(tiles * s.expand_steps())},
                             expansion_output(w, p, iy, p.inputs.begin + ix), height * kPanel);
                 });
  }
}

// The same without expansion.
void copy(const Worker& w, const Piece& p, Range rows) {
  const InvertedResidualShape& s = w.shape();
  const std::int64_t channels = std::min(kPanel, s.in_channels - p.panel * kPanel);
  for (std::int64_t iy = rows.begin; iy < rows.end; ++iy) {
    const std::int64_t position = (w.picture * s.in_height + iy) * s.in_width + p.inputs.begin;
    const float* from = w.b.x + position * s.in_channels + p.panel * kPanel;
    float* to = w.ring_position(p, iy, p.inputs.begin);
    for (std::int64_t i = 0; i < p.width(); ++i, from += s.in_channels, to += kPanel) {
      if (channels == kPanel)
        for (std::int64_t c = 0; c < kPanel; c += kLanes)
          hn::StoreU(hn::LoadU(lanes, from + c), lanes, to + c);
      else
        for (std::int64_t c = 0; c < channels; c += kLanes)
          hn::StoreU(load_first(from + c, std::min(kLanes, channels - c)), lanes, to + c);
    }
  }
}

// Input rows [rows) of one piece into its ring.
void expand(const Worker& w, const Piece& p, Range rows, Upcoming& next) {
  const InvertedResidualShape& s = w.shape();
  const std::int64_t width = p.width(), count = rows.end - rows.begin;
  const bool fewer_across =
      divide_up(width, kTileRows) * count > divide_up(width * count, kTileRows);
  if (!s.expand)
    copy(w, p, rows);
  else if (s.expand_kernel > 1)
    expand_fully(w, p, rows);
  else if (w.b.plan.segments == 1 && fewer_across)
    expand_across_rows(w, p, rows, next);
  else if (w.b.plan.segments == 1 && width <= kTileRows)
    expand_row_tiles(w, p, rows, next);
  else
    expand_by_rows(w, p, rows, next);
}

// Output rows [rows), of the step that begins with row `step`.
void filter(const Worker& w, const Piece& p, Range rows, std::int64_t step) {
  const InvertedResidualShape& s = w.shape();
  const std::int64_t stride = w.filtered_stride();
  const std::int64_t top = input_row(s, rows.begin);
  const std::int64_t count = (rows.end - rows.begin - 1) * s.stride + 3;
  const float* inputs[kMostRows * 2 + 1];
  for (std::int64_t i = 0; i < count; ++i) {
    const bool inside = top + i >= 0 && top + i < s.middle_height();
    inputs[i] = inside ? w.ring_row(p, top + i) : w.memory.zeros;
  }
  const std::int64_t position = (rows.begin - step) * s.out_width + p.outputs.begin;
  depthwise_plane<kPanel>(
      {.rows = inputs,
       .out_rows = rows.end - rows.begin,
       .out_width = p.outputs.end - p.outputs.begin,
       .weights = w.b.w.depthwise + p.panel * 9 * kPanel,
       .bias = w.b.w.depthwise_bias + p.panel * kPanel,
       .activation = s.activation,
       .out = w.memory.filtered + position * stride + (p.panel - w.panels.begin) * kPanel,
       .out_stride = stride,
       .out_pitch = s.out_width * stride},
      s.stride, w.columns(p.panel));
}

void project(const Worker& w, Range rows) {
  const InvertedResidualShape& s = w.shape();
  const std::int64_t channels = w.channels(), channel = w.panels.begin * kPanel;
  const std::int64_t base = w.picture * w.b.positions() + rows.begin * s.out_width;
  for (std::int64_t column = 0; column < s.out_channels; column += kPanel) {
    const std::int64_t columns = std::min(kPanel, s.out_channels - column);
    Upcoming next = column + kPanel < s.out_channels ? projection_of(w, column + kPanel)
                    : w.first && w.last              ? results_after(w, rows)
                                                     : expansion_of(w, w.panels.end);
    for_each_run({0, (rows.end - rows.begin) * s.out_width},
                 [&](std::int64_t position, std::int64_t height, std::int64_t tiles) HWY_ATTR {
                   const std::int64_t at = (base + position) * s.out_channels + column;
                   run_tiles(height, tiles,
                             {.a = w.memory.filtered + position * w.filtered_stride(),
                              .a_stride = w.filtered_stride(),
                              .b = w.b.w.project + column * s.expanded_channels + channel * kPanel,
                              .b_stride = kPanel,
                              .steps = channels,
                              .fetch = next.take(tiles * channels),
                              .paired = pairs_steps(columns)},
                             {.c = w.sums + at,
                              .c_stride = s.out_channels,
                              .columns = columns,
                              .bias = w.with_bias ? w.b.w.project_bias + column : nullptr,
                              .residual = w.last && s.residual ? w.b.x + at : nullptr,
                              .activation = w.last ? s.out_activation : Activation::none,
                              .accumulate = !w.first},
                             height * s.out_channels);
                 });
  }
}

// Rows [step) of a piece: expanded, a few at a time, from input row `made` on, and filtered.
void make_step(const Worker& w, const Piece& p, Range step, std::int64_t made, Upcoming& next) {
  const InvertedResidualShape& s = w.shape();
  const std::int64_t parts = divide_up(step.end - step.begin, w.b.plan.rows);
  for (std::int64_t i = 0; i < parts; ++i) {
    const Range r = part(step.end - step.begin, parts, i);
    const Range rows = {step.begin + r.begin, step.begin + r.end};
    const std::int64_t needed = std::min(s.middle_height(), input_row(s, rows.end - 1) + 3);
    if (needed > made) expand(w, p, {made, needed}, next);
    made = std::max(made, needed);
    filter(w, p, rows, step.begin);
  }
}

void run_rows(const Worker& w, Range rows) {
  const InvertedResidualShape& s = w.shape();
  std::int64_t made = std::max<std::int64_t>(0, input_row(s, rows.begin));
  for (std::int64_t oy = rows.begin; oy < rows.end; oy += w.b.plan.step) {
    const Range step = {oy, std::min(oy + w.b.plan.step, rows.end)};
    for (std::int64_t panel = w.panels.begin; panel < w.panels.end; ++panel) {
      Upcoming next = panel + 1 < w.panels.end ? expansion_of(w, panel + 1) : projection_of(w, 0);
      for (std::int64_t segment = 0; segment < w.b.plan.segments; ++segment)
        make_step(w, piece_of(s, w.b.plan, panel, segment), step, made, next);
    }
    made = std::max(made, std::min(s.middle_height(), input_row(s, step.end - 1) + 3));
    project(w, step);
  }
}

// The columns left and right of the pictures and the row of zeros, which nothing else writes.
void clear_padding(const Memory& memory, const InvertedResidualShape& s, const Plan& plan) {
  for (std::int64_t ring = 0; ring < plan.rings(); ++ring) {
    const Piece p = piece_of(s, plan, 0, ring % plan.segments);
    const std::int64_t left = (p.inputs.begin - p.left) * kPanel;
    const std::int64_t right = left + p.width() * kPanel;
    for (std::int64_t row = 0; row < plan.ring_rows; ++row) {
      float* begin = memory.rings + ring * plan.ring_size() + row * plan.ring_pitch();
      std::fill(begin, begin + left, 0.0f);
      std::fill(begin + right, begin + plan.ring_pitch(), 0.0f);
    }
  }
  std::fill(memory.zeros, memory.zeros + plan.ring_pitch(), 0.0f);
}

Memory take_memory(const InvertedResidualShape& s, const Plan& plan) {
  const std::int64_t rings = plan.rings() * plan.ring_size();
  const std::int64_t filtered = plan.step * s.out_width * plan.block_panels * kPanel;
  float* memory = scratch(Scratch::task, rings + plan.ring_pitch() + filtered);
  return {memory, memory + rings, memory + rings + plan.ring_pitch()};
}

void run_task(const Block& b, std::int64_t task) {
  const InvertedResidualShape& s = b.shape;
  const Plan& plan = b.plan;
  const std::int64_t group = task % plan.groups, strip = task / plan.groups % plan.strips;
  const std::int64_t first = task / plan.groups / plan.strips * plan.pictures;
  const Range pictures = {first, std::min(first + plan.pictures, s.batch)};
  const Range rows = part(s.out_height, plan.strips, strip);
  const Range panels = part(panels_of(s.expanded_channels), plan.groups, group);
  const Memory memory = take_memory(s, plan);
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
                .memory = memory},
               rows);
    }
}

std::int64_t ring_width(const InvertedResidualShape& s, std::int64_t segments) {
  if (segments == 1)
    return std::max((s.out_width - 1) * s.stride + 3, s.middle_width() + s.pad_left);
  return (divide_up(s.out_width, segments) - 1) * s.stride + 3;
}

// Tiles of a row that is expanded.
std::int64_t tiles_of_row(const InvertedResidualShape& s, std::int64_t segments) {
  return segments * divide_up(std::min(ring_width(s, segments), s.middle_width()), kTileRows);
}

// The smallest number of segments whose ring of three rows leaves half of the first-level cache to
// the rest, or one or two more if that makes fewer tiles.
std::int64_t segments_of(const InvertedResidualShape& s) {
  const std::int64_t most = cache_sizes().level1 / 2;
  std::int64_t least = 1;
  while (3 * ring_width(s, least) * kPanel * std::int64_t{sizeof(float)} > most &&
         ring_width(s, least) > 2 * kTileRows)
    ++least;
  if (least == 1) return 1;
  std::int64_t best = least;
  for (const std::int64_t more : {least + 1, least + 2})
    if (tiles_of_row(s, more) < tiles_of_row(s, best)) best = more;
  return best;
}

// Output rows at once whose input rows fit into a third of the first-level cache.
std::int64_t rows_at_once(const InvertedResidualShape& s, const Plan& plan) {
  const std::int64_t row_bytes = plan.ring_pitch() * std::int64_t{sizeof(float)};
  const std::int64_t ring_rows = cache_sizes().level1 / 3 / row_bytes;
  return std::clamp<std::int64_t>((ring_rows - 3) / s.stride + 1, 1,
                                  std::min(plan.step, kMostRows));
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
  plan.segments = segments_of(s);
  plan.ring_width = ring_width(s, plan.segments);
  const std::int64_t rows = divide_up(s.out_height, plan.strips);
  const std::int64_t row_bytes =
      plan.block_panels * kPanel * std::int64_t{sizeof(float)} * s.out_width;
  plan.step = std::clamp<std::int64_t>(cache_sizes().level2 / 8 / row_bytes, 1, rows);
  plan.rows = rows_at_once(s, plan);
  plan.ring_rows = (plan.rows - 1) * s.stride + 3;
  plan.one_ring = plan.step == rows && plan.segments == 1;
  return plan;
}

// y = activation(y + partials) + residual
void add_groups(const Block& b) {
  const InvertedResidualShape& s = b.shape;
  const std::int64_t count = s.batch * b.positions() * s.out_channels;
  const Clamp bounds = clamp_of(s.out_activation);
  parallel_for_range(count, std::int64_t{1} << 14,
                     [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                       for (std::int64_t i = begin; i < end; i += kLanes) {
                         const std::int64_t rest = std::min(kLanes, end - i);
                         Vector sum = load_first(b.y + i, rest);
                         for (std::int64_t g = 0; g + 1 < b.plan.groups; ++g)
                           sum = hn::Add(sum, load_first(b.partials + g * count + i, rest));
                         sum = clamp(sum, bounds);
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
    pack_matrix(l.expand, expand, shape.expand_steps(), expanded);
    pack_matrix(l.expand_bias, expand_bias, 1, expanded);
  }
  pack_matrix(l.depthwise, depthwise, 9, expanded);
  pack_matrix(l.depthwise_bias, depthwise_bias, 1, expanded);
  pack_matrix(l.project, project, expanded, shape.out_channels);
  for (std::int64_t column = 0; column < shape.out_channels; column += kPanel)
    pair_steps(l.project + column * expanded, std::min(kPanel, shape.out_channels - column),
               expanded);
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

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
