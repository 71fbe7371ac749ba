// Int8: what becomes of the sums of products, biases in them: floats, codes, means. Included by
// kernels/quantized-inl.h alone.

HWY_INLINE Vector dequantized(IntVector sum, const PackedLayer& layer, std::int64_t column,
                              Activation activation) {
  const Vector factor = hn::LoadU(lanes, layer.factor + column);
  Vector y = hn::Mul(hn::ConvertTo(lanes, sum), factor);
  if (activation != Activation::none) y = hn::Max(y, hn::Zero(lanes));
  if (activation == Activation::relu6) y = hn::Min(y, hn::Set(lanes, 6.0f));
  return y;
}

// A sink of rows y[row, column] that begins at a row and a panel.
template <typename Sink>
HWY_INLINE Sink moved(Sink sink, std::int64_t row, std::int64_t panel) {
  sink.y += row * sink.columns;
  if (sink.residual) sink.residual += row * sink.columns;
  sink.first_column = panel * kColumns;
  return sink;
}

// What such a sink stores at y[row, column], of which `rest` columns are left: with the residual.
template <typename Sink>
HWY_INLINE Vector value_of(const Sink& sink, int row, std::int64_t column, std::int64_t rest,
                           IntVector sum) {
  const Vector v = dequantized(sum, *sink.layer, column, sink.activation);
  if (!sink.residual) return v;
  const float* from = sink.residual + row * sink.columns + column;
  return hn::Add(v, rest >= kLanes ? hn::LoadU(lanes, from) : load_first(from, rest));
}

// Floats y[row, column], with a residual.
struct FloatSink {
  static constexpr bool kMayEndEarly = true;
  HWY_INLINE FloatSink at(std::int64_t row, std::int64_t panel) const {
    return moved(*this, row, panel);
  }
  HWY_INLINE void operator()(int row, int vector, IntVector sum) const {
    const std::int64_t column = first_column + vector * kLanes, rest = columns - column;
    if (rest <= 0) return;
    const Vector v = value_of(*this, row, column, rest, sum);
    float* to = y + row * columns + column;
    if (rest >= kLanes)
      hn::StoreU(v, lanes, to);
    else
      store_first(v, to, rest);
  }
  const PackedLayer* layer;
  Activation activation;
  float* y;
  const float* residual;  // or null
  std::int64_t columns, first_column = 0;
};

// Codes y[row, column] of what FloatSink makes.
struct CodeSink {
  static constexpr bool kMayEndEarly = true;
  HWY_INLINE CodeSink at(std::int64_t row, std::int64_t panel) const {
    return moved(*this, row, panel);
  }
#if KERNELS_VBMI
  static constexpr bool kTakesRows = true;
  template <int kCount>
  HWY_INLINE void rows(int row, int vector, IntVector a, IntVector b, IntVector c,
                       IntVector d) const {
    const std::int64_t column = first_column + vector * kLanes, rest = columns - column;
    if (rest <= 0) return;
    const __m512i codes =
        rounded_rows(value_of(*this, row, column, rest, a).raw,
                     value_of(*this, row + (kCount > 1 ? 1 : 0), column, rest, b).raw,
                     value_of(*this, row + (kCount > 2 ? 2 : 0), column, rest, c).raw,
                     value_of(*this, row + (kCount > 3 ? 3 : 0), column, rest, d).raw, round);
    std::uint8_t* to = y + row * columns + column;
    if (kCount == 4 && columns == kColumns) return _mm512_storeu_si512(to, codes);
    const auto mask = static_cast<__mmask16>(rest >= kColumns ? 0xffff : (1 << rest) - 1);
    store_first_of_row<0>(codes, mask, to);
    if constexpr (kCount > 1) store_first_of_row<1>(codes, mask, to + columns);
    if constexpr (kCount > 2) store_first_of_row<2>(codes, mask, to + 2 * columns);
    if constexpr (kCount > 3) store_first_of_row<3>(codes, mask, to + 3 * columns);
  }
#else
  HWY_INLINE void operator()(int row, int vector, IntVector sum) const {
    const std::int64_t column = first_column + vector * kLanes, rest = columns - column;
    if (rest <= 0) return;
    std::uint8_t codes[kLanes];
    store_codes(round(value_of(*this, row, column, rest, sum)), codes);
    std::copy_n(codes, std::min(rest, kLanes), y + row * columns + column);
  }
#endif
  const PackedLayer* layer;
  Activation activation;
  Rounding round;
  std::uint8_t* y;
  const float* residual;  // or null
  std::int64_t columns, first_column = 0;
};

// Adds rows up, one after another, in sums[column].
struct PoolSink {
  HWY_INLINE PoolSink at(std::int64_t, std::int64_t panel) const {
    PoolSink tile = *this;
    tile.first_column = panel * kColumns;
    return tile;
  }
  HWY_INLINE void operator()(int, int vector, IntVector sum) const {
    const std::int64_t column = first_column + vector * kLanes;
    float* to = sums + column;
    const Vector y = dequantized(sum, *layer, column, activation);
    hn::StoreU(hn::Add(hn::LoadU(lanes, to), y), lanes, to);
  }
  const PackedLayer* layer;
  Activation activation;
  float* sums;
  std::int64_t first_column = 0;
};

// Codes that the depthwise layer reads: ring[panel - first][offsets[row] + column].
struct HeldSink {
  HWY_INLINE HeldSink at(std::int64_t row, std::int64_t panel) const {
    HeldSink tile = *this;
    tile.offsets += row;
    tile.ring += (panel - first_panel) * ring_size;
    tile.first_panel = panel;
    return tile;
  }
#if KERNELS_VBMI
  static constexpr bool kTakesRows = true;
  template <int kCount>
  HWY_INLINE void rows(int row, int vector, IntVector a, IntVector b, IntVector c,
                       IntVector d) const {
    const Vector factor = hn::LoadU(lanes, layer->factor + (first_panel + vector) * kColumns);
    const __m512i codes = requantized_rows(a, b, c, d, factor);
    Held* to = ring + vector * ring_size;
    const std::int32_t* at = offsets + row;
    if (kCount == 4 && at[3] - at[0] == 3 * kColumns) return _mm512_storeu_si512(to + at[0], codes);
    store_row<0>(codes, to + at[0]);
    if constexpr (kCount > 1) store_row<1>(codes, to + at[1]);
    if constexpr (kCount > 2) store_row<2>(codes, to + at[2]);
    if constexpr (kCount > 3) store_row<3>(codes, to + at[3]);
  }
#else
  HWY_INLINE void operator()(int row, int vector, IntVector sum) const {
    const std::int64_t column = first_panel * kColumns + vector * kLanes;
    const Vector code = requantized(sum, hn::LoadU(lanes, layer->factor + column));
    hn::StoreU(
        hn::Round(code), lanes,
        ring + vector / kPanelVectors * ring_size + offsets[row] + vector % kPanelVectors * kLanes);
  }
#endif
  const PackedLayer* layer;
  Held* ring;
  std::int64_t ring_size, first_panel;
  const std::int32_t* offsets;  // of positions
};
