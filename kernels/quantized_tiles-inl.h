// Int8: packed layers and the micro-kernel of products. Included by kernels/quantized-inl.h alone.
// --- A packed layer ---

// Whether products take signed bytes on both sides: codes then have 128 less, and biases have that
// back.
constexpr bool kSignedCodes = KERNELS_BYTES == 1 && HWY_ARCH_ARM_A64 == 1;

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
  if constexpr (kSignedCodes) {
    auto* bias = reinterpret_cast<std::int32_t*>(packed);
    for (std::int64_t i = 0; i < in; ++i)
      for (std::int64_t c = 0; c < out; ++c) bias[c] += 128 * layer.weight[i * out + c];
  }
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
  const IntVector four = hn::Set(ints, bits);
  if constexpr (kSignedCodes)
    return hn::Xor(four, hn::Set(ints, static_cast<std::int32_t>(0x80808080u)));
  return four;
}

#if KERNELS_BYTES
// sum += codes · weights, four products a lane. Of the intrinsic for it gcc 12 copies each sum
// through memory.
#if HWY_ARCH_ARM_A64
// Of signed bytes: each code less 128, as four_bytes() gives it.
HWY_INLINE void add_products(decltype(IntVector::raw)& sum, decltype(IntVector::raw) codes,
                             decltype(IntVector::raw) weights) {
  asm("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(codes), "w"(weights));
}
#elif HWY_TARGET == HWY_AVX2 && !defined(KERNELS_AVX_VNNI_AS_AVX512)
HWY_INLINE void add_products(__m256i& sum, __m256i codes, __m256i weights) {
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(codes), "x"(weights));
}
#else
template <typename Raw>
HWY_INLINE void add_products(Raw& sum, Raw codes, Raw weights) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights));
}
#endif
#endif
#if KERNELS_VBMI
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
#if KERNELS_BYTES
  HWY_INLINE void add(IntVector codes, IntVector weights) {
    add_products(first.raw, codes.raw, weights.raw);
  }
#if KERNELS_VBMI
  HWY_INLINE void add_half(IntVector codes, IntVector weights) {
    add_half_products(first.raw, codes.raw, weights.raw);
  }
#endif
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
#if KERNELS_VBMI
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

#if KERNELS_VBMI
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
#if KERNELS_VBMI
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
constexpr bool kHalves = KERNELS_VBMI == 1 && requires {
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
      const auto run = [&](auto count, auto half) KERNELS_ATTR {
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
