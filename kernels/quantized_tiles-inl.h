// Int8: codes, the micro-kernel of products, and what becomes of its sums. Included by
// kernels/quantized-inl.h alone, once for each instruction set: where KERNELS_VNNI is 1, for the
// dot products of bytes of AVX-512; else for products of 16-bit integers, summed in pairs.
//
// A step of the micro-kernel takes 32 bits of codes from each row, four codes or two, and a line of
// 64 bytes of weights: as many numbers for each of a panel's 16 columns.

#if KERNELS_VNNI
using Code = std::uint8_t;   // of a row that products read
using Weight = std::int8_t;  // packed
using Held = std::uint8_t;   // a code that the depthwise layer reads
#else
using Code = std::int16_t;
using Weight = std::int16_t;
using Held = float;  // sums of 9 products of codes and weights are exact in float
#endif

using Ints = hn::RebindToSigned<Lanes>;
using IntVector = hn::Vec<Ints>;
constexpr Ints ints;

constexpr std::int64_t kStepCodes = 4 / std::int64_t{sizeof(Code)};
constexpr std::int64_t kColumns = 16;  // of a panel
constexpr std::int64_t kLine = 64 / std::int64_t{sizeof(Weight)};
constexpr int kPanelVectors = static_cast<int>(kColumns / kLanes);
// As many sums as registers hold beside a line of weights.
constexpr int kMostPanels = kLanes == 16 ? 2 : 1;
constexpr int kMostTileRows = kLanes == 16 ? 14 : kLanes == 8 ? 6 : 3;
// Codes are stored a vector at a time, up to so many past the last.
constexpr std::int64_t kSlack = 64;

HWY_INLINE std::int64_t rounded_up(std::int64_t count, std::int64_t to) {
  return divide_up(count, to) * to;
}

// --- Codes ---

struct Rounding {
  explicit HWY_INLINE Rounding(Quantization q)
      : inverse_scale(hn::Set(lanes, q.inverse_scale)),
        low(hn::Set(lanes, -static_cast<float>(q.zero))),
        high(hn::Set(lanes, 255.0f - static_cast<float>(q.zero))),
        zero(hn::Set(ints, q.zero)) {}
  HWY_INLINE IntVector operator()(Vector x) const {
    const Vector code = hn::Min(hn::Max(hn::Mul(x, inverse_scale), low), high);
    return hn::Add(hn::NearestInt(code), zero);
  }
  Vector inverse_scale, low, high;
  IntVector zero;
};

// Of integers in 0..255.
#if KERNELS_VNNI
HWY_INLINE void store_codes(IntVector codes, std::uint8_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtusepi32_epi8(codes.raw));
}
#else
HWY_INLINE void store_codes(IntVector codes, std::int16_t* to) {
  const hn::Rebind<std::int16_t, Ints> words;
  hn::StoreU(hn::DemoteTo(words, codes), words, to);
}
HWY_INLINE void store_codes(IntVector codes, float* to) {
  hn::StoreU(hn::ConvertTo(lanes, codes), lanes, to);
}
#endif

// count codes of x; up to kLanes - 1 more are overwritten.
template <typename To>
HWY_INLINE void quantize_row(To* to, const float* x, std::int64_t count, const Rounding& round) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store_codes(round(hn::LoadU(lanes, x + i)), to + i);
  if (i < count) store_codes(round(load_first(x + i, count - i)), to + i);
}

HWY_INLINE IntVector requantized(IntVector sum, IntVector bias, Vector factor) {
  const Vector code = hn::Mul(hn::ConvertTo(lanes, hn::Add(sum, bias)), factor);
  return hn::NearestInt(hn::Min(hn::Max(code, hn::Zero(lanes)), hn::Set(lanes, 255.0f)));
}

// --- A packed layer ---

// Biases and factors of whole panels, then lines of weights: [panel][step][line].
struct PackedLayer {
  PackedLayer(const std::byte* packed, std::int64_t in, std::int64_t out)
      : out_padded(rounded_up(out, kColumns)),
        steps(divide_up(in, kStepCodes)),
        bias(reinterpret_cast<const std::int32_t*>(packed)),
        factor(reinterpret_cast<const float*>(packed + 4 * out_padded)),
        weights(reinterpret_cast<const Weight*>(packed + 8 * out_padded)) {}
  const std::byte* end() const {
    return reinterpret_cast<const std::byte*>(weights + out_padded / kColumns * steps * kLine);
  }
  std::int64_t out_padded, steps;
  const std::int32_t* bias;
  const float* factor;
  const Weight* weights;
};

// Biases and factors with zeros up to whole panels; returns where weights begin.
inline std::byte* pack_ends(std::byte* packed, const QuantizedLayer& layer, std::int64_t out) {
  const std::int64_t padded = rounded_up(out, kColumns);
  std::memset(packed, 0, static_cast<std::size_t>(8 * padded));
  std::memcpy(packed, layer.bias, static_cast<std::size_t>(4 * out));
  std::memcpy(packed + 4 * padded, layer.factor, static_cast<std::size_t>(4 * out));
  return packed + 8 * padded;
}

// For rows of row_length codes, in or more.
inline std::byte* pack_layer(std::byte* packed, const QuantizedLayer& layer, std::int64_t in,
                             std::int64_t row_length, std::int64_t out) {
  auto* to = reinterpret_cast<Weight*>(pack_ends(packed, layer, out));
  for (std::int64_t column = 0; column < out; column += kColumns)
    for (std::int64_t k = 0; k < rounded_up(row_length, kStepCodes); k += kStepCodes)
      for (std::int64_t c = column; c < column + kColumns; ++c)
        for (std::int64_t i = k; i < k + kStepCodes; ++i)
          *to++ = static_cast<Weight>(c < out && i < in ? layer.weight[i * out + c] : 0);
  return reinterpret_cast<std::byte*>(to);
}

// --- The micro-kernel ---

HWY_INLINE IntVector four_bytes(const Code* codes) {
  std::int32_t bits;
  std::memcpy(&bits, codes, sizeof bits);
  return hn::Set(ints, bits);
}

#if KERNELS_VNNI
HWY_INLINE void multiply_add(IntVector codes, IntVector weights, IntVector& sum, IntVector&) {
  sum = IntVector{_mm512_dpbusd_epi32(sum.raw, codes.raw, weights.raw)};
}
#else
HWY_INLINE void multiply_add(IntVector codes, IntVector weights, IntVector& sum,
                             IntVector& second) {
  const hn::Repartition<std::int16_t, Ints> words;
  sum = hn::ReorderWidenMulAccumulate(ints, hn::BitCast(words, codes), hn::BitCast(words, weights),
                                      sum, second);
}
#endif

HWY_INLINE IntVector total(IntVector sum, [[maybe_unused]] IntVector second) {
#if KERNELS_VNNI
  return sum;
#else
  return hn::RearrangeToOddPlusEven(sum, second);
#endif
}

// store(row, vector, sum) for kRows rows of codes times kPanels panels.
template <int kRows, int kPanels, typename Store>
void multiply_tile(const Code* HWY_RESTRICT a, std::int64_t a_stride, const Weight* HWY_RESTRICT b,
                   std::int64_t steps, const Store& store) {
  constexpr int kVectors = kPanels * kPanelVectors;
  IntVector sums[kRows][kVectors], seconds[kRows][kVectors];
  HWY_UNROLL(16)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) sums[r][v] = seconds[r][v] = hn::Zero(ints);
  const std::int64_t panel = steps * kLine;
  for (std::int64_t step = 0; step < steps; ++step, a += kStepCodes, b += kLine) {
    IntVector weights[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      const Weight* from =
          b + (v / kPanelVectors) * panel + v % kPanelVectors * (kLine / kPanelVectors);
      weights[v] = hn::LoadU(ints, reinterpret_cast<const std::int32_t*>(from));
    }
    HWY_UNROLL(16)
    for (int r = 0; r < kRows; ++r) {
      const IntVector codes = four_bytes(a + r * a_stride);
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) multiply_add(codes, weights[v], sums[r][v], seconds[r][v]);
    }
  }
  HWY_UNROLL(16)
  for (int r = 0; r < kRows; ++r) HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) store(r, v, total(sums[r][v], seconds[r][v]));
}

template <int kPanels, typename Store, int kRows = kMostTileRows>
HWY_INLINE void multiply_rows(std::int64_t rows, const Code* a, std::int64_t a_stride,
                              const Weight* b, std::int64_t steps, const Store& store) {
  if (rows == kRows) return multiply_tile<kRows, kPanels>(a, a_stride, b, steps, store);
  if constexpr (kRows > 1)
    multiply_rows<kPanels, Store, kRows - 1>(rows, a, a_stride, b, steps, store);
}

// All rows of a times panels [panels) of a layer, in tiles of about the same height;
// sink.at(row, panel) takes the sums of the tile that begins there.
template <typename Sink>
HWY_INLINE void multiply(const Code* a, std::int64_t a_stride, std::int64_t rows,
                         const PackedLayer& layer, Range panels, const Sink& sink) {
  const std::int64_t tiles = divide_up(rows, kMostTileRows);
  for (std::int64_t panel = panels.begin; panel < panels.end; panel += kMostPanels)
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const Range r = part(rows, tiles, tile);
      const Weight* b = layer.weights + panel * layer.steps * kLine;
      const auto store = sink.at(r.begin, panel);
      if (panels.end - panel >= kMostPanels)
        multiply_rows<kMostPanels>(r.end - r.begin, a + r.begin * a_stride, a_stride, b,
                                   layer.steps, store);
      else if constexpr (kMostPanels > 1)
        multiply_rows<1>(r.end - r.begin, a + r.begin * a_stride, a_stride, b, layer.steps, store);
    }
}

// --- What becomes of sums ---

HWY_INLINE Vector dequantized(IntVector sum, const PackedLayer& layer, std::int64_t column,
                              const Clamp& bounds) {
  const IntVector bias = hn::LoadU(ints, layer.bias + column);
  const Vector factor = hn::LoadU(lanes, layer.factor + column);
  const Vector y = hn::Mul(hn::ConvertTo(lanes, hn::Add(sum, bias)), factor);
  return hn::Min(hn::Max(y, bounds.low), bounds.high);
}

// Floats y[row, column], with a residual.
struct FloatSink {
  HWY_INLINE FloatSink at(std::int64_t row, std::int64_t panel) const {
    FloatSink tile = *this;
    tile.y += row * columns;
    if (residual) tile.residual += row * columns;
    tile.first_column = panel * kColumns;
    return tile;
  }
  HWY_INLINE void operator()(int row, int vector, IntVector sum) const {
    const std::int64_t column = first_column + vector * kLanes, rest = columns - column;
    if (rest <= 0) return;
    Vector v = dequantized(sum, *layer, column, bounds);
    const std::int64_t at = row * columns + column;
    if (rest >= kLanes) {
      if (residual) v = hn::Add(v, hn::LoadU(lanes, residual + at));
      hn::StoreU(v, lanes, y + at);
    } else {
      if (residual) v = hn::Add(v, load_first(residual + at, rest));
      store_first(v, y + at, rest);
    }
  }
  const PackedLayer* layer;
  Clamp bounds;
  float* y;
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
    const Vector y = dequantized(sum, *layer, column, bounds);
    hn::StoreU(hn::Add(hn::LoadU(lanes, to), y), lanes, to);
  }
  const PackedLayer* layer;
  Clamp bounds;
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
  HWY_INLINE void operator()(int row, int vector, IntVector sum) const {
    const std::int64_t column = first_panel * kColumns + vector * kLanes;
    const IntVector codes = requantized(sum, hn::LoadU(ints, layer->bias + column),
                                        hn::LoadU(lanes, layer->factor + column));
    store_codes(codes, ring + vector / kPanelVectors * ring_size + offsets[row] +
                           vector % kPanelVectors * kLanes);
  }
  const PackedLayer* layer;
  Held* ring;
  std::int64_t ring_size, first_panel;
  const std::int32_t* offsets;  // of positions
};
