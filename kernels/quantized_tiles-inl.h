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

// Added to a float of less than 2^22 it leaves the nearest integer in the lower bits, ties to even.
constexpr float kRounder = 0x1.8p23f;
constexpr std::int32_t kRounderBits = 0x4B400000;

HWY_INLINE IntVector nearest(Vector v) {
#if KERNELS_VNNI
  return IntVector{_mm512_cvtps_epi32(v.raw)};
#else
  const Vector rounded = hn::Add(v, hn::Set(lanes, kRounder));
  return hn::Sub(hn::BitCast(ints, rounded), hn::Set(ints, kRounderBits));
#endif
}

struct Rounding {
  explicit HWY_INLINE Rounding(Quantization q)
      : inverse_scale(hn::Set(lanes, q.inverse_scale)),
        low(hn::Set(lanes, -static_cast<float>(q.zero))),
        high(hn::Set(lanes, 255.0f - static_cast<float>(q.zero))),
        zero(hn::Set(ints, q.zero)) {}
  HWY_INLINE IntVector operator()(Vector x) const {
    const Vector code = hn::Min(hn::Max(hn::Mul(x, inverse_scale), low), high);
    return hn::Add(nearest(code), zero);
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

#if KERNELS_VNNI
// The words of four vectors of integers, cut off at 0 and 255: one row of 16 bytes after another.
HWY_INLINE __m512i rows_of_bytes(__m512i first_words, __m512i last_words) {
  alignas(64) static constexpr std::int32_t kOrder[16] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                          2, 6, 10, 14, 3, 7, 11, 15};
  const __m512i bytes = _mm512_packus_epi16(first_words, last_words);
  return _mm512_permutexvar_epi32(_mm512_load_si512(kOrder), bytes);
}

// Codes of the next layer, rows of 16. No sum times its factor is too large for an integer.
HWY_INLINE __m512i requantized_rows(IntVector a, IntVector b, IntVector c, IntVector d,
                                    Vector factor) {
  const auto code = [&](IntVector sum) HWY_ATTR {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sum.raw), factor.raw));
  };
  return rows_of_bytes(_mm512_packs_epi32(code(a), code(b)), _mm512_packs_epi32(code(c), code(d)));
}

template <int kRow>
HWY_INLINE void store_row(__m512i rows, std::uint8_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_extracti32x4_epi32(rows, kRow));
}

template <int kRow>
HWY_INLINE void store_first_of_row(__m512i rows, __mmask16 which, std::uint8_t* to) {
  if (which == 0xffff) return store_row<kRow>(rows, to);
  _mm_mask_storeu_epi8(to, which, _mm512_extracti32x4_epi32(rows, kRow));
}

// Codes of values, rows of 16. NaN becomes 0, as packing has it.
HWY_INLINE __m512i rounded_rows(__m512 a, __m512 b, __m512 c, __m512 d, const Rounding& round) {
  const auto code = [&](__m512 v) HWY_ATTR {
    // In this order NaN stays NaN, and then becomes the least integer, as what is too small does.
    return _mm512_cvtps_epi32(
        _mm512_min_ps(round.high.raw, _mm512_mul_ps(v, round.inverse_scale.raw)));
  };
  const __m512i zero = _mm512_packs_epi32(round.zero.raw, round.zero.raw);
  const __m512i first = _mm512_packs_epi32(code(a), code(b));
  const __m512i last = _mm512_packs_epi32(code(c), code(d));
  return rows_of_bytes(_mm512_adds_epi16(first, zero), _mm512_adds_epi16(last, zero));
}

// 64 codes of x.
HWY_INLINE void quantize_four(std::uint8_t* to, const float* x, const Rounding& round) {
  const auto part = [&](int i) HWY_ATTR { return _mm512_loadu_ps(x + i * kLanes); };
  _mm512_storeu_si512(to, rounded_rows(part(0), part(1), part(2), part(3), round));
}
#endif

// count codes of x; up to kLanes - 1 more are overwritten.
template <typename To>
HWY_INLINE void quantize_row(To* to, const float* x, std::int64_t count, const Rounding& round) {
  std::int64_t i = 0;
#if KERNELS_VNNI
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) quantize_four(to + i, x + i, round);
#endif
  for (; i + kLanes <= count; i += kLanes) store_codes(round(hn::LoadU(lanes, x + i)), to + i);
  if (i < count) store_codes(round(load_first(x + i, count - i)), to + i);
}

#if !KERNELS_VNNI
// A code of the next layer, not yet rounded.
HWY_INLINE Vector requantized(IntVector sum, Vector factor) {
  const Vector code = hn::Max(hn::Mul(hn::ConvertTo(lanes, sum), factor), hn::Zero(lanes));
  return hn::Min(code, hn::Set(lanes, 255.0f));
}
#endif

// --- A packed layer ---

// Biases and factors of whole panels, then lines of weights: [panel][step][line].
struct PackedLayer {
  PackedLayer(const std::byte* packed, std::int64_t in, std::int64_t out)
      : columns(out),
        out_padded(rounded_up(out, kColumns)),
        steps(divide_up(in, kStepCodes)),
        bias(reinterpret_cast<const std::int32_t*>(packed)),
        factor(reinterpret_cast<const float*>(packed + 4 * out_padded)),
        weights(reinterpret_cast<const Weight*>(packed + 8 * out_padded)) {}
  const std::byte* end() const {
    return reinterpret_cast<const std::byte*>(weights + out_padded / kColumns * steps * kLine);
  }
  std::int64_t columns, out_padded, steps;
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
// sum += codes · weights, four products a lane. Of the intrinsic for it gcc 12 copies each sum
// through memory.
HWY_INLINE void add_products(__m512i& sum, __m512i codes, __m512i weights) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights));
}
// In the lower half of the lanes; the others become 0. Half the work where a machine makes one
// instruction of 64 bytes of two of 32.
HWY_INLINE void add_half_products(__m512i& sum, __m512i codes, __m512i weights) {
  asm("vpdpbusd %t2, %t1, %t0" : "+v"(sum) : "v"(codes), "v"(weights));
}
#endif

// The sum of a column, or where the target keeps it so, of its even and its odd steps.
struct Sum {
  HWY_INLINE Sum() {}  // the implicit one is not compiled for the target
  IntVector first;
#if KERNELS_VNNI
  HWY_INLINE void add(IntVector codes, IntVector weights) {
    add_products(first.raw, codes.raw, weights.raw);
  }
  HWY_INLINE void add_half(IntVector codes, IntVector weights) {
    add_half_products(first.raw, codes.raw, weights.raw);
  }
  HWY_INLINE void begin(IntVector bias) { first = bias; }
  HWY_INLINE IntVector total(const std::int32_t*) const { return first; }
#else
  IntVector second;
  HWY_INLINE void add(IntVector codes, IntVector weights) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
    decltype(first.raw) products;  // of gcc's own order of these instructions registers run out
    asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
        : "+v"(first.raw), "=&v"(products)
        : "v"(codes.raw), "v"(weights.raw));
#else
    const hn::Repartition<std::int16_t, Ints> words;
    first = hn::ReorderWidenMulAccumulate(ints, hn::BitCast(words, codes),
                                          hn::BitCast(words, weights), first, second);
#endif
  }
  HWY_INLINE void begin(IntVector) { first = second = hn::Zero(ints); }
  HWY_INLINE IntVector total(const std::int32_t* bias) const {
    return hn::Add(hn::RearrangeToOddPlusEven(first, second), hn::LoadU(ints, bias));
  }
#endif
};

template <int kCount>
using UpTo = std::make_integer_sequence<int, kCount>;

// Vector v of a line of weights of kPanels panels.
template <int v>
HWY_INLINE IntVector weights_at(const Weight* b, std::int64_t panel) {
  constexpr std::int64_t kShare = kLine / kPanelVectors;
  const Weight* from = b + (v / kPanelVectors) * panel + v % kPanelVectors * kShare;
  return hn::LoadU(ints, reinterpret_cast<const std::int32_t*>(from));
}

// Rows in groups of three, one pointer each: x86 addresses p, p + s and p + 2s without a register
// for each row. Indices are template arguments, which the compiler knows before it looks for
// registers: of loops it keeps the sums in memory.
template <int kRows>
struct RowPointers {
  const Code* group[(kRows + 2) / 3];
  std::int64_t stride;

  template <int... kGroups>
  HWY_INLINE RowPointers(const Code* a, std::int64_t a_stride,
                         std::integer_sequence<int, kGroups...>)
      : group{(a + 3 * kGroups * a_stride)...}, stride(a_stride) {}
  template <int row>
  HWY_INLINE const Code* at() const {
    return group[row / 3] + row % 3 * stride;
  }
  template <int... kGroups>
  HWY_INLINE void next(std::integer_sequence<int, kGroups...>) {
    ((group[kGroups] += kStepCodes), ...);
  }
};

template <bool kHalf>
HWY_INLINE void add_cell(Sum& sum, IntVector codes, IntVector weights) {
#if KERNELS_VNNI
  if constexpr (kHalf) return sum.add_half(codes, weights);
#endif
  sum.add(codes, weights);
}

// kHalf: of the last vector only the lower half is wanted.
template <bool kHalf, int... kVectors>
HWY_INLINE void add_row(Sum* HWY_RESTRICT sums, const Code* a, const IntVector* weights,
                        std::integer_sequence<int, kVectors...>) {
  constexpr int kLast = static_cast<int>(sizeof...(kVectors)) - 1;
  const IntVector codes = four_bytes(a);
  (add_cell < kHalf && kVectors == kLast > (sums[kVectors], codes, weights[kVectors]), ...);
}

// One step of all rows.
template <bool kHalf, int kAll, int... kVectors, int... kRows>
HWY_INLINE void add_step(Sum* HWY_RESTRICT sums, const RowPointers<kAll>& a, const Weight* b,
                         std::int64_t panel, std::integer_sequence<int, kVectors...> vectors,
                         std::integer_sequence<int, kRows...>) {
  const IntVector weights[] = {weights_at<kVectors>(b, panel)...};
  (add_row<kHalf>(sums + kRows * static_cast<int>(sizeof...(kVectors)), a.template at<kRows>(),
                  weights, vectors),
   ...);
}

template <int kVectors, int... kCells>
HWY_INLINE void begin_all(Sum* sums, const std::int32_t* bias,
                          std::integer_sequence<int, kCells...>) {
  (sums[kCells].begin(hn::LoadU(ints, bias + kCells % kVectors * kLanes)), ...);
}

template <int kVectors, typename Store, int... kCells>
HWY_INLINE void store_all(const Sum* sums, const std::int32_t* bias, const Store& store,
                          std::integer_sequence<int, kCells...>) {
  (store(kCells / kVectors, kCells % kVectors,
         sums[kCells].total(bias + kCells % kVectors * kLanes)),
   ...);
}

#if KERNELS_VNNI
// store.rows<kCount>(row, vector, sums of four rows, of which kCount count). No function of its own
// picks the sums: one that is not inlined would want them in memory.
template <int kVectors, int kRows, int kCell, typename Store>
HWY_INLINE void store_four(const Sum* sums, const Store& store) {
  constexpr int kRow = kCell / kVectors * 4, kVector = kCell % kVectors;
  constexpr int kCount = kRows - kRow < 4 ? kRows - kRow : 4;
  constexpr int kFirst = kRow * kVectors + kVector;
  store.template rows<kCount>(kRow, kVector, sums[kFirst].first,
                              sums[kFirst + (kCount > 1 ? kVectors : 0)].first,
                              sums[kFirst + (kCount > 2 ? 2 * kVectors : 0)].first,
                              sums[kFirst + (kCount > 3 ? 3 * kVectors : 0)].first);
}

template <int kVectors, int kRows, typename Store, int... kCells>
HWY_INLINE void store_fours(const Sum* sums, const Store& store,
                            std::integer_sequence<int, kCells...>) {
  (store_four<kVectors, kRows, kCells>(sums, store), ...);
}
#endif

// store(row, vector, sum) for kRows rows of codes times kPanels panels, whose biases `bias` holds.
template <int kRows, int kPanels, bool kHalf, typename Store>
void multiply_tile(const Code* HWY_RESTRICT codes, std::int64_t stride,
                   const Weight* HWY_RESTRICT b, std::int64_t steps, const std::int32_t* bias,
                   const Store& store) {
  constexpr int kVectors = kPanels * kPanelVectors;
  constexpr UpTo<(kRows + 2) / 3> groups;
  Sum sums[kRows * kVectors];
  begin_all<kVectors>(sums, bias, UpTo<kRows * kVectors>());
  RowPointers<kRows> a(codes, stride, groups);
  const std::int64_t panel = steps * kLine;
  for (std::int64_t step = 0; step < steps; ++step, b += kLine) {
    add_step<kHalf>(sums, a, b, panel, UpTo<kVectors>(), UpTo<kRows>());
    a.next(groups);
  }
  const Store sink = store;  // nothing that is stored can change it
#if KERNELS_VNNI
  if constexpr (requires { Store::kTakesRows; })
    store_fours<kVectors, kRows>(sums, sink, UpTo<(kRows + 3) / 4 * kVectors>());
  else
#endif
    store_all<kVectors>(sums, bias, sink, UpTo<kRows * kVectors>());
}

template <int kPanels, bool kHalf, typename Store, int kRows = kMostTileRows>
HWY_INLINE void multiply_rows(std::int64_t rows, const Code* a, std::int64_t a_stride,
                              const Weight* b, std::int64_t steps, const std::int32_t* bias,
                              const Store& store) {
  if (rows == kRows)
    return multiply_tile<kRows, kPanels, kHalf>(a, a_stride, b, steps, bias, store);
  if constexpr (kRows > 1)
    multiply_rows<kPanels, kHalf, Store, kRows - 1>(rows, a, a_stride, b, steps, bias, store);
}

// Whether a kernel of its own is worth it where the last panel is at most half full: there are
// networks with 24 channels between blocks.
template <typename Sink>
constexpr bool kHalves = KERNELS_VNNI == 1 && requires {
  Sink::kMayEndEarly;
};

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
      const std::int32_t* bias = layer.bias + panel * kColumns;
      const auto store = sink.at(r.begin, panel);
      const auto run = [&](auto count, auto half) HWY_ATTR {
        multiply_rows<count(), half()>(r.end - r.begin, a + r.begin * a_stride, a_stride, b,
                                       layer.steps, bias, store);
      };
      constexpr std::integral_constant<int, kMostPanels> most;
      if (panels.end - panel < kMostPanels)
        run(std::integral_constant<int, 1>(), std::false_type());
      else if (kHalves<Sink> && layer.columns - panel * kColumns <= kMostPanels * kColumns - 8)
        run(most, std::bool_constant<kHalves<Sink>>());
      else
        run(most, std::false_type());
    }
}

// --- What becomes of sums, biases in them ---

HWY_INLINE Vector dequantized(IntVector sum, const PackedLayer& layer, std::int64_t column,
                              Activation activation) {
  const Vector factor = hn::LoadU(lanes, layer.factor + column);
  Vector y = hn::Mul(hn::ConvertTo(lanes, sum), factor);
  if (activation != Activation::none) y = hn::Max(y, hn::Zero(lanes));
  if (activation == Activation::relu6) y = hn::Min(y, hn::Set(lanes, 6.0f));
  return y;
}

// Floats y[row, column], with a residual.
struct FloatSink {
  static constexpr bool kMayEndEarly = true;
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
    Vector v = dequantized(sum, *layer, column, activation);
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
  Activation activation;
  float* y;
  const float* residual;  // or null
  std::int64_t columns, first_column = 0;
};

// Codes y[row, column] of what FloatSink makes.
struct CodeSink {
  static constexpr bool kMayEndEarly = true;
  HWY_INLINE CodeSink at(std::int64_t row, std::int64_t panel) const {
    CodeSink tile = *this;
    tile.y += row * columns;
    if (residual) tile.residual += row * columns;
    tile.first_column = panel * kColumns;
    return tile;
  }
  HWY_INLINE Vector value(int row, std::int64_t column, std::int64_t rest, IntVector sum) const {
    const Vector v = dequantized(sum, *layer, column, activation);
    if (!residual) return v;
    const float* from = residual + row * columns + column;
    return hn::Add(v, rest >= kLanes ? hn::LoadU(lanes, from) : load_first(from, rest));
  }
#if KERNELS_VNNI
  static constexpr bool kTakesRows = true;
  template <int kCount>
  HWY_INLINE void rows(int row, int vector, IntVector a, IntVector b, IntVector c,
                       IntVector d) const {
    const std::int64_t column = first_column + vector * kLanes, rest = columns - column;
    if (rest <= 0) return;
    const __m512i codes = rounded_rows(
        value(row, column, rest, a).raw, value(row + (kCount > 1 ? 1 : 0), column, rest, b).raw,
        value(row + (kCount > 2 ? 2 : 0), column, rest, c).raw,
        value(row + (kCount > 3 ? 3 : 0), column, rest, d).raw, round);
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
    const hn::Rebind<std::uint8_t, Ints> bytes;
    std::uint8_t codes[kLanes];
    hn::StoreU(hn::DemoteTo(bytes, round(value(row, column, rest, sum))), bytes, codes);
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
#if KERNELS_VNNI
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
