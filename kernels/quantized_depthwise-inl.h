// Int8: a row of a depthwise 3×3 convolution for one panel of channels. Included by
// kernels/quantized-inl.h alone. Inputs are held rows [position][16].

// Biases and factors of whole panels, then the weights of each panel.
struct PackedDepthwise {
#if KERNELS_VBMI
  // Each kernel row twice, as the lines that four neighbouring codes of 16 channels are multiplied
  // by: (w0 w1 w2 0) for the output at the first of them, (0 w0 w1 w2) for the next one.
  static constexpr std::int64_t kPanelWeights = 6 * 64;
  using Number = std::int8_t;
#else
  static constexpr std::int64_t kPanelWeights = 9 * kColumns;
  using Number = float;
#endif
  PackedDepthwise(const std::byte* packed, std::int64_t channels)
      : padded(rounded_up(channels, kColumns)),
        bias(reinterpret_cast<const std::int32_t*>(packed)),
        factor(reinterpret_cast<const float*>(packed + 4 * padded)),
        weights(reinterpret_cast<const Number*>(packed + 8 * padded)) {}
  const std::byte* end() const {
    return reinterpret_cast<const std::byte*>(weights + padded / kColumns * kPanelWeights);
  }
  std::int64_t padded;
  const std::int32_t* bias;
  const float* factor;
  const Number* weights;
};

inline std::byte* pack_depthwise(std::byte* packed, const QuantizedLayer& layer,
                                 std::int64_t channels) {
  auto* to = reinterpret_cast<PackedDepthwise::Number*>(pack_ends(packed, layer, channels));
  const auto weight = [&](int tap, std::int64_t c) {
    return static_cast<PackedDepthwise::Number>(c < channels ? layer.weight[tap * channels + c]
                                                             : 0);
  };
  for (std::int64_t first = 0; first < channels; first += kColumns) {
#if KERNELS_VBMI
    for (int row = 0; row < 3; ++row)
      for (const int shift : {0, 1})
        for (std::int64_t c = first; c < first + kColumns; ++c)
          for (int i = 0; i < 4; ++i) {
            const int tap = i - shift;
            *to++ = tap >= 0 && tap < 3 ? weight(3 * row + tap, c) : std::int8_t{0};
          }
#else
    for (int tap = 0; tap < 9; ++tap)
      for (std::int64_t c = first; c < first + kColumns; ++c) *to++ = weight(tap, c);
#endif
  }
  return reinterpret_cast<std::byte*>(to);
}

#if KERNELS_VBMI

// Positions past the first that a vector of codes reads, from the one where the last output begins.
constexpr std::int64_t kReach = 10;

// Four positions of 16 channels as 16 channels of four positions.
HWY_INLINE __m512i by_channels(const std::uint8_t* codes) {
  alignas(64) static constexpr std::uint8_t kOrder[64] = {
      0,  16, 32, 48, 1,  17, 33, 49, 2,  18, 34, 50, 3,  19, 35, 51, 4,  20, 36, 52, 5,  21,
      37, 53, 6,  22, 38, 54, 7,  23, 39, 55, 8,  24, 40, 56, 9,  25, 41, 57, 10, 26, 42, 58,
      11, 27, 43, 59, 12, 28, 44, 60, 13, 29, 45, 61, 14, 30, 46, 62, 15, 31, 47, 63};
  return _mm512_permutexvar_epi8(_mm512_load_si512(kOrder), _mm512_loadu_si512(codes));
}

// Four outputs at a time, of which the last ones may lie past `count`. With stride 1 a vector of
// codes serves two of them.
template <int kStride>
HWY_INLINE void filter_outputs(const std::uint8_t* const* rows, const PackedDepthwise& layer,
                               std::int64_t panel, std::uint8_t* to, std::int64_t to_stride,
                               std::int64_t count) {
  constexpr int kServed = kStride == 1 ? 2 : 1;
  const std::int8_t* w = layer.weights + panel * PackedDepthwise::kPanelWeights;
  __m512i weights[3][kServed];
  for (int r = 0; r < 3; ++r)
    for (int i = 0; i < kServed; ++i) weights[r][i] = _mm512_loadu_si512(w + (2 * r + i) * 64);
  const IntVector bias = hn::LoadU(ints, layer.bias + panel * kColumns);
  const Vector factor = hn::LoadU(lanes, layer.factor + panel * kColumns);
  for (std::int64_t ox = 0; ox < count; ox += 4, to += 4 * to_stride) {
    IntVector sums[4] = {bias, bias, bias, bias};
    for (int r = 0; r < 3; ++r)
      for (int p = 0; p < 4; p += kServed) {
        const __m512i codes = by_channels(rows[r] + (ox + p) * kStride * kColumns);
        for (int i = 0; i < kServed; ++i) add_products(sums[p + i].raw, codes, weights[r][i]);
      }
    const __m512i codes = requantized_rows(sums[0], sums[1], sums[2], sums[3], factor);
    store_row<0>(codes, to);
    store_row<1>(codes, to + to_stride);
    store_row<2>(codes, to + 2 * to_stride);
    store_row<3>(codes, to + 3 * to_stride);
  }
}

#else

constexpr std::int64_t kReach = 3;

// Sums begin with kRounder, so that they lie in their lower bits as integers; `bias` is less by
// what those bits hold of it.
template <int kStride, int kOutputs>
HWY_INLINE void filter_vector(const float* const* rows, const float* weights, IntVector bias,
                              Vector factor, std::int64_t ox, Code* to, std::int64_t to_stride) {
  Vector sums[kOutputs];
  HWY_UNROLL(4)
  for (int i = 0; i < kOutputs; ++i) sums[i] = hn::Set(lanes, kRounder);
  for (int r = 0; r < 3; ++r) {
    const float* from = rows[r] + ox * kStride * kColumns;
    const float* w = weights + 3 * r * kColumns;
    const Vector taps[3] = {hn::LoadU(lanes, w), hn::LoadU(lanes, w + kColumns),
                            hn::LoadU(lanes, w + 2 * kColumns)};
    HWY_UNROLL(16)
    for (int column = 0; column < (kOutputs - 1) * kStride + 3; ++column) {
      const Vector x = hn::LoadU(lanes, from + column * kColumns);
      HWY_UNROLL(4)
      for (int tap = 0; tap < 3; ++tap) {
        const int output = (column - tap) / kStride;
        if (column >= tap && (column - tap) % kStride == 0 && output < kOutputs)
          sums[output] = hn::MulAdd(x, taps[tap], sums[output]);
      }
    }
  }
  HWY_UNROLL(4)
  for (int i = 0; i < kOutputs; ++i)
    store_codes(nearest(requantized(hn::Add(hn::BitCast(ints, sums[i]), bias), factor)),
                to + (ox + i) * to_stride);
}

template <int kStride>
HWY_INLINE void filter_outputs(const float* const* rows, const PackedDepthwise& layer,
                               std::int64_t panel, Code* to, std::int64_t to_stride,
                               std::int64_t count) {
  for (std::int64_t lane = 0; lane < kColumns; lane += kLanes) {
    const float* w = layer.weights + panel * PackedDepthwise::kPanelWeights + lane;
    const float* from[3] = {rows[0] + lane, rows[1] + lane, rows[2] + lane};
    const IntVector bias =
        hn::Sub(hn::LoadU(ints, layer.bias + panel * kColumns + lane), hn::Set(ints, kRounderBits));
    const Vector factor = hn::LoadU(lanes, layer.factor + panel * kColumns + lane);
    std::int64_t ox = 0;
    for (; ox + 4 <= count; ox += 4)
      filter_vector<kStride, 4>(from, w, bias, factor, ox, to + lane, to_stride);
    for (; ox < count; ++ox)
      filter_vector<kStride, 1>(from, w, bias, factor, ox, to + lane, to_stride);
  }
}

#endif

// `count` outputs of a row: codes to[position · to_stride + channel].
HWY_INLINE void filter_row(const Held* const* rows, int stride, const PackedDepthwise& layer,
                           std::int64_t panel, Code* to, std::int64_t to_stride,
                           std::int64_t count) {
  if (stride == 1)
    filter_outputs<1>(rows, layer, panel, to, to_stride, count);
  else
    filter_outputs<2>(rows, layer, panel, to, to_stride, count);
}
