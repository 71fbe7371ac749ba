// Int8: the inverted residual block. Included by kernels/quantized-inl.h alone.

void pack_quantized_inverted_residual(std::byte* packed, QuantizedBlock block,
                                      InvertedResidualShape s) {
  const std::int64_t steps = s.expand_steps(), expanded = s.expanded_channels;
  if (s.expand) packed = pack_layer(packed, block.expand, steps, steps, expanded);
  packed = pack_depthwise(packed, block.depthwise, expanded);
  pack_layer(packed, block.project, expanded, rounded_up(expanded, kColumns), s.out_channels);
}

// A pack of a block.
struct PackedBlock {
  PackedBlock(const std::byte* packed, const InvertedResidualShape& s)
      : expand(packed, s.expand ? s.expand_steps() : 0, s.expand ? s.expanded_channels : 0),
        depthwise(expand.end(), s.expanded_channels),
        project(depthwise.end(), rounded_up(s.expanded_channels, kColumns), s.out_channels) {}
  PackedLayer expand;
  PackedDepthwise depthwise;
  PackedLayer project;
};

// Whether threads share out the panels of one picture rather than its rows.
HWY_INLINE bool is_small(const InvertedResidualShape& s) {
  constexpr std::int64_t kSmall = 14 * 14;
  return s.batch == 1 && s.out_height * s.out_width <= kSmall;
}

// How a block is cut: strips of output rows for threads, and steps of rows between projections, so
// few that what a step holds stays in the second-level cache.
struct Cut {
  explicit Cut(const InvertedResidualShape& s)
      : pitch(std::max((s.out_width - 1) * s.stride + kReach, s.pad_left + s.middle_width() + 1)),
        panels(divide_up(s.expanded_channels, kColumns)) {
    strips =
        s.batch >= threads() || is_small(s) ? 1 : std::min<std::int64_t>(threads(), s.out_height);
    const std::int64_t rows = divide_up(s.out_height, strips);
    const std::int64_t filtered = s.out_width * panels * kColumns * std::int64_t{sizeof(Code)};
    const std::int64_t read =
        s.stride * s.middle_width() * s.expand_steps() * std::int64_t{sizeof(Code)};
    step = std::clamp<std::int64_t>(cache_sizes().level2 / 2 / (filtered + read), 1, rows);
    // Tiles want some positions at once, the first-level cache few.
    chunk = std::clamp<std::int64_t>(divide_up(4 * kMostTileRows, s.out_width), 1, step);
    ring_rows = (chunk - 1) * s.stride + 3;
    reads_at_once = panels > kMostPanels;
  }
  std::int64_t pitch;   // positions of a held row
  std::int64_t panels;  // of expanded channels
  std::int64_t strips, step, chunk;
  std::int64_t ring_rows;  // middle rows that a chunk reads
  bool reads_at_once;      // what the expansion reads: for a step, else for each chunk
};

// Of a step, with those that the last vectors of a row write past it.
HWY_INLINE std::int64_t filtered_codes(const Cut& cut, const InvertedResidualShape& s) {
  return (cut.step * s.out_width + 8) * cut.panels * kColumns + kSlack;
}

struct Block {
  QuantizedOutput y;
  QuantizedInput x;
  PackedBlock packed;
  InvertedResidualShape shape;
  Cut cut;
};

// What a task works in. A ring holds the middle rows of a panel that a chunk reads, row i of them
// at (i - first) % cut.ring_rows, so few that they stay in the first-level cache.
struct Step {
  Step(const Block& block, std::int64_t of_picture)
      : b(block), s(block.shape), cut(block.cut), picture(of_picture) {
    ring_size = cut.ring_rows * cut.pitch * kColumns + kSlack;
    row_stride = row_codes(s.expand_steps());
    const std::int64_t positions = 2 * cut.ring_rows * s.middle_width();
    const std::int64_t image = s.expand_kernel > 1 ? image_codes() : 0;
    const std::int64_t rows =
        s.expand ? (cut.reads_at_once ? step_rows() : cut.ring_rows) * s.middle_width() : 0;
    filtered_stride = cut.panels * kColumns;
    const std::int64_t results = filtered_codes(cut, s);
    Carver memory(Carver::bytes_of<Held>(kMostPanels * ring_size) +
                  Carver::bytes_of<Held>(cut.pitch * kColumns + kSlack) +
                  Carver::bytes_of<Code>(image) +
                  Carver::bytes_of<Code>(rows * row_stride + kSlack) +
                  Carver::bytes_of<Code>(results) + Carver::bytes_of<std::int32_t>(positions));
    rings = memory.take<Held>(kMostPanels * ring_size);
    padding = memory.take<Held>(cut.pitch * kColumns + kSlack);
    window = memory.take<Code>(image);
    codes = memory.take<Code>(rows * row_stride + kSlack);
    filtered = memory.take<Code>(results);
    offsets = memory.take<std::int32_t>(positions);
    const auto zero = static_cast<Held>(s.expand ? 0 : b.x.quantization.zero);
    std::fill(rings, rings + kMostPanels * ring_size, zero);
    std::fill(padding, padding + cut.pitch * kColumns + kSlack, zero);
    for (std::int64_t row = 0, i = 0; row < 2 * cut.ring_rows; ++row)
      for (std::int64_t column = 0; column < s.middle_width(); ++column, ++i)
        offsets[i] = static_cast<std::int32_t>(
            (row % cut.ring_rows * cut.pitch + s.pad_left + column) * kColumns);
  }
  // Middle rows that a step reads.
  std::int64_t step_rows() const { return (cut.step - 1) * s.stride + 3; }
  std::int64_t ring_row(std::int64_t row) const { return (row - first) % cut.ring_rows; }
  // Of the input rows that a step's expansion by a full convolution reads, with padding.
  std::int64_t image_pitch() const {
    return ((s.full_width - 1) * s.expand_stride + s.expand_kernel) * s.in_channels + kSlack;
  }
  std::int64_t image_codes() const {
    return ((step_rows() - 1) * s.expand_stride + s.expand_kernel) * image_pitch() + kSlack;
  }
  // Whether the expansion multiplies the input's codes where they lie.
  bool reads_in_place() const {
    return sizeof(Code) == sizeof(*b.x.codes) && b.x.codes && s.expand_kernel == 1 &&
           row_stride == s.in_channels;
  }
  // Those of a middle row.
  const Code* codes_of(std::int64_t row) const {
    if (reads_in_place()) return reinterpret_cast<const Code*>(b.x.codes + input_row(row));
    return codes + (cut.reads_at_once ? (row - first) * s.middle_width() * row_stride : 0);
  }
  // Where a row of the input begins.
  std::int64_t input_row(std::int64_t row) const {
    return (picture * s.in_height + row) * s.in_width * s.in_channels;
  }

  const Block& b;
  const InvertedResidualShape& s;
  const Cut& cut;
  std::int64_t picture, ring_size, row_stride, filtered_stride;
  Held *rings, *padding;
  Code *window, *codes, *filtered;
  std::int32_t* offsets;   // of positions of twice a ring's rows, the second time the same ones
  std::int64_t first = 0;  // middle row that the step begins with
};

#if KERNELS_VBMI
// The usual first layer: windows of 3×3 positions of 3 codes, 2 apart. Two of them have 15 codes of
// each row; a window becomes 27 codes and a 0. Writes up to 36 codes past the last, and where the
// count is odd another window.
void gather_stem(const Step& step, const Code* from, Code* to) {
  alignas(64) static constexpr std::uint8_t kOrder[64] = {
      0,  1,  2,  3,  4,  5,  6,  7,  8,  16, 17, 18, 19, 20, 21, 22, 23, 24, 32, 33, 34, 35,
      36, 37, 38, 39, 40, 63, 6,  7,  8,  9,  10, 11, 12, 13, 14, 22, 23, 24, 25, 26, 27, 28,
      29, 30, 38, 39, 40, 41, 42, 43, 44, 45, 46, 63, 63, 63, 63, 63, 63, 63, 63, 63};
  const __m512i order = _mm512_load_si512(kOrder);
  const std::int64_t pitch = step.image_pitch();
  const auto line = [&](int row) KERNELS_ATTR {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + row * pitch));
  };
  for (std::int64_t x = 0; x < step.s.full_width; x += 2, from += 12, to += 2 * step.row_stride) {
    const __m512i first = _mm512_zextsi128_si512(line(0));
    const __m512i lines = _mm512_inserti32x4(_mm512_inserti32x4(first, line(1), 1), line(2), 2);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi8(order, lines));
  }
}

bool is_usual_stem(const InvertedResidualShape& s) {
  return s.expand_kernel == 3 && s.expand_stride == 2 && s.in_channels == 3;
}
#endif

// A row of windows of the expansion's kernel, each as a row of codes. `from`: its first input row.
void gather_windows(const Step& step, const Code* from, Code* to) {
  const InvertedResidualShape& s = step.s;
#if KERNELS_VBMI
  if (is_usual_stem(s)) return gather_stem(step, from, to);
#endif
  // More than is wanted, of a size that the compiler knows: what is copied next lies over the rest.
  constexpr std::size_t kCopied = 32;
  const std::int64_t line = s.expand_kernel * s.in_channels, pitch = step.image_pitch();
  const auto bytes = static_cast<std::size_t>(line) * sizeof(Code);
  const std::int64_t next = s.expand_stride * s.in_channels;
  for (std::int64_t x = 0; x < s.full_width; ++x, from += next, to += step.row_stride)
    for (std::int64_t k = 0; k < s.expand_kernel; ++k)
      if (bytes <= kCopied)
        std::memcpy(to + k * line, from + k * pitch, kCopied);
      else
        std::memcpy(to + k * line, from + k * pitch, bytes);
}

// Codes of the input rows that the expansion's kernel reads for middle rows [rows), `zero` around
// them.
void read_image(const Step& step, Range rows) {
  const InvertedResidualShape& s = step.s;
  const std::int64_t pitch = step.image_pitch(),
                     top = rows.begin * s.expand_stride - s.expand_pad_top;
  const std::int64_t count = (rows.end - rows.begin - 1) * s.expand_stride + s.expand_kernel;
  const Rounding round(step.b.x.quantization);
  const auto zero = static_cast<Code>(step.b.x.quantization.zero);
  const std::int64_t left = s.expand_pad_left * s.in_channels;
  const std::int64_t width = std::min(s.in_width * s.in_channels, pitch - kSlack - left);
  for (std::int64_t row = 0; row < count; ++row) {
    Code* to = step.window + row * pitch;
    const bool inside = top + row >= 0 && top + row < s.in_height;
    if (inside) read_codes(to + left, step.b.x, step.input_row(top + row), width, round);
    std::fill(to, to + (inside ? left : pitch), zero);
    if (inside) std::fill(to + left + width, to + pitch, zero);
  }
}

// The codes of middle rows [rows) that the expansion multiplies.
void read_rows(const Step& step, Range rows) {
  const InvertedResidualShape& s = step.s;
  if (s.expand_kernel == 1)
    return read_positions(step.codes, step.b.x, step.input_row(rows.begin),
                          (rows.end - rows.begin) * s.in_width, s.in_channels);
  const std::int64_t pitch = step.image_pitch();
  for (std::int64_t row = rows.begin; row < rows.end; ++row)
    gather_windows(step, step.window + (row - step.first) * s.expand_stride * pitch,
                   step.codes + (row - rows.begin) * s.full_width * step.row_stride);
}

// Middle rows [rows) of a group of panels into their rings.
void hold_rows(const Step& step, Range panels, Range rows) {
  const InvertedResidualShape& s = step.s;
  const std::int64_t width = s.middle_width(), count = (rows.end - rows.begin) * width;
  const std::int32_t* offsets = step.offsets + step.ring_row(rows.begin) * width;
  if (s.expand) {
    if (!step.reads_in_place() && !step.cut.reads_at_once) read_rows(step, rows);
    multiply(step.codes_of(rows.begin), step.row_stride, count, step.b.packed.expand, panels,
             HeldSink{.layer = &step.b.packed.expand,
                      .ring = step.rings,
                      .ring_size = step.ring_size,
                      .first_panel = panels.begin,
                      .offsets = offsets});
    return;
  }
  const Rounding round(step.b.x.quantization);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const std::int64_t channel = panel * kColumns,
                       channels = std::min(kColumns, s.in_channels - channel);
    Held* ring = step.rings + (panel - panels.begin) * step.ring_size;
    for (std::int64_t i = 0; i < count; ++i)
      read_codes(ring + offsets[i], step.b.x,
                 step.input_row(rows.begin) + i * s.in_channels + channel, channels, round);
  }
}

// Output rows [rows) of a group of panels, into the step's filtered codes.
void filter_rows(const Step& step, Range panels, Range rows, std::int64_t first_row) {
  const InvertedResidualShape& s = step.s;
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const Held* ring = step.rings + (panel - panels.begin) * step.ring_size;
    for (std::int64_t oy = rows.begin; oy < rows.end; ++oy) {
      const Held* inputs[3];
      for (int i = 0; i < 3; ++i) {
        const std::int64_t row = oy * s.stride - s.pad_top + i;
        const bool inside = row >= 0 && row < s.middle_height();
        inputs[i] = inside ? ring + step.ring_row(row) * step.cut.pitch * kColumns : step.padding;
      }
      Code* to =
          step.filtered + (oy - first_row) * s.out_width * step.filtered_stride + panel * kColumns;
      filter_row(inputs, s.stride, step.b.packed.depthwise, panel, to, step.filtered_stride,
                 s.out_width);
    }
  }
}

// As many positions from `first` on, counted over all pictures, from their filtered codes.
void project(const Block& b, const Code* filtered, std::int64_t first, std::int64_t count) {
  const InvertedResidualShape& s = b.shape;
  const std::int64_t stride = b.cut.panels * kColumns, at = first * s.out_channels;
  const PackedLayer& layer = b.packed.project;
  const Range panels{0, divide_up(s.out_channels, kColumns)};
  const float* residual = s.residual ? b.x.values + at : nullptr;
  if (b.y.codes)
    multiply(filtered, stride, count, layer, panels,
             CodeSink{.layer = &layer,
                      .activation = s.out_activation,
                      .round = Rounding(b.y.quantization),
                      .y = b.y.codes + at,
                      .residual = residual,
                      .columns = s.out_channels});
  else
    multiply(filtered, stride, count, layer, panels,
             FloatSink{.layer = &layer,
                       .activation = s.out_activation,
                       .y = b.y.values + at,
                       .residual = residual,
                       .columns = s.out_channels});
}

// Panels [panels) of output rows [rows), up to the filtered codes.
void filter_panels(Step& step, Range panels, Range rows) {
  const InvertedResidualShape& s = step.s;
  const auto needed = [&](std::int64_t oy) {
    return std::clamp<std::int64_t>(oy * s.stride - s.pad_top + 3, 0, s.middle_height());
  };
  step.first = std::max<std::int64_t>(0, rows.begin * s.stride - s.pad_top);
  const Range read{step.first, needed(rows.end - 1)};
  if (s.expand_kernel > 1) read_image(step, read);
  if (s.expand && step.cut.reads_at_once && !step.reads_in_place()) read_rows(step, read);
  for (std::int64_t panel = panels.begin; panel < panels.end; panel += kMostPanels) {
    const Range group{panel, std::min<std::int64_t>(panel + kMostPanels, panels.end)};
    std::int64_t made = step.first;
    for (std::int64_t oy = rows.begin; oy < rows.end; oy += step.cut.chunk) {
      const Range chunk{oy, std::min(oy + step.cut.chunk, rows.end)};
      const std::int64_t last = needed(chunk.end - 1);
      if (last > made) hold_rows(step, group, {made, last});
      made = std::max(made, last);
      filter_rows(step, group, chunk, rows.begin);
    }
  }
}

void run_strip(const Block& b, std::int64_t picture, std::int64_t strip) {
  const std::int64_t width = b.shape.out_width, first = picture * b.shape.out_height * width;
  const Range rows = part(b.shape.out_height, b.cut.strips, strip);
  Step step(b, picture);
  for (std::int64_t oy = rows.begin; oy < rows.end; oy += b.cut.step) {
    const std::int64_t end = std::min(oy + b.cut.step, rows.end);
    filter_panels(step, {0, b.cut.panels}, {oy, end});
    project(b, step.filtered, first + oy * width, (end - oy) * width);
  }
}

// A small picture: threads share out its panels, and when all are filtered its positions, so that
// no row is made twice.
void run_shared(const Block& b) {
  const InvertedResidualShape& s = b.shape;
  const std::int64_t positions = s.out_height * s.out_width;
  const std::int64_t codes = filtered_codes(b.cut, s);
  auto* filtered = reinterpret_cast<Code*>(
      scratch(Scratch::partials, divide_up(codes * std::int64_t{sizeof(Code)}, 4)));
  const std::int64_t groups = divide_up(b.cut.panels, kMostPanels);
  const auto tasks = std::min<std::int64_t>(threads(), groups);
  parallel_for(tasks, [&](std::int64_t task) {
    const Range r = part(groups, tasks, task);
    Step step(b, 0);
    step.filtered = filtered;
    filter_panels(
        step, {r.begin * kMostPanels, std::min<std::int64_t>(r.end * kMostPanels, b.cut.panels)},
        {0, s.out_height});
  });
  const auto parts = std::min<std::int64_t>(threads(), divide_up(positions, kMostTileRows));
  parallel_for(parts, [&](std::int64_t task) {
    const Range r = part(positions, parts, task);
    project(b, filtered + r.begin * b.cut.panels * kColumns, r.begin, r.end - r.begin);
  });
}

void quantized_inverted_residual(QuantizedOutput y, QuantizedInput x, const std::byte* packed,
                                 InvertedResidualShape s) {
  if (s.batch * s.out_height * s.out_width * s.out_channels <= 0) return;
  const Block b{y, x, PackedBlock(packed, s), s, Cut(s)};
  if (is_small(s) && threads() > 1 && b.cut.step == s.out_height) return run_shared(b);
  parallel_for(s.batch * b.cut.strips,
               [&](std::int64_t task) { run_strip(b, task / b.cut.strips, task % b.cut.strips); });
}
