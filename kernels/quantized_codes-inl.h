// Int8: codes, and the numbers that products are made of. Included by kernels/quantized-inl.h
// alone, once for each instruction set: where KERNELS_BYTES is 1, for dot products of bytes (where
// KERNELS_VBMI is 1, those of AVX-512 beside its permutations of bytes); else for products of
// 16-bit integers, summed in pairs.
//
// A step of the micro-kernel takes 32 bits of codes from each row, four codes or two, and a line of
// 64 bytes of weights: as many numbers for each of a panel's 16 columns.

#if KERNELS_BYTES
using Code = std::uint8_t;   // of a row that products read
using Weight = std::int8_t;  // packed
#else
using Code = std::int16_t;
using Weight = std::int16_t;
#endif
#if KERNELS_VBMI
using Held = std::uint8_t;  // a code that the depthwise layer reads
#else
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
constexpr int kMostTileRows = kLanes == 16 ? 14 : kLanes == 8 || KERNELS_BYTES == 1 ? 6 : 3;
// Codes are stored a vector at a time, up to so many past the last.
constexpr std::int64_t kSlack = 64;

HWY_INLINE std::int64_t rounded_up(std::int64_t count, std::int64_t to) {
  return divide_up(count, to) * to;
}

// Added to a float of less than 2^22 it leaves the nearest integer in the lower bits, ties to even.
constexpr float kRounder = 0x1.8p23f;
constexpr std::int32_t kRounderBits = 0x4B400000;

HWY_INLINE IntVector nearest(Vector v) {
#if KERNELS_VBMI
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
#if KERNELS_VBMI
HWY_INLINE void store_codes(IntVector codes, std::uint8_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtusepi32_epi8(codes.raw));
}
#else
HWY_INLINE void store_codes(IntVector codes, std::uint8_t* to) {
  const hn::Rebind<std::uint8_t, Ints> bytes;
  hn::StoreU(hn::DemoteTo(bytes, codes), bytes, to);
}
HWY_INLINE void store_codes(IntVector codes, std::int16_t* to) {
  const hn::Rebind<std::int16_t, Ints> words;
  hn::StoreU(hn::DemoteTo(words, codes), words, to);
}
HWY_INLINE void store_codes(IntVector codes, float* to) {
  hn::StoreU(hn::ConvertTo(lanes, codes), lanes, to);
}
#endif

#if KERNELS_VBMI
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
  const auto code = [&](IntVector sum) KERNELS_ATTR {
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
  const auto code = [&](__m512 v) KERNELS_ATTR {
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
  const auto part = [&](int i) KERNELS_ATTR { return _mm512_loadu_ps(x + i * kLanes); };
  _mm512_storeu_si512(to, rounded_rows(part(0), part(1), part(2), part(3), round));
}
#endif

// count codes of x; up to kLanes - 1 more are overwritten.
template <typename To>
HWY_INLINE void quantize_row(To* to, const float* x, std::int64_t count, const Rounding& round) {
  std::int64_t i = 0;
#if KERNELS_VBMI
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) quantize_four(to + i, x + i, round);
#endif
  for (; i + kLanes <= count; i += kLanes) store_codes(round(hn::LoadU(lanes, x + i)), to + i);
  if (i < count) store_codes(round(load_first(x + i, count - i)), to + i);
}

#if !KERNELS_VBMI
// A code of the next layer, not yet rounded.
HWY_INLINE Vector requantized(IntVector sum, Vector factor) {
  const Vector code = hn::Max(hn::Mul(hn::ConvertTo(lanes, sum), factor), hn::Zero(lanes));
  return hn::Min(code, hn::Set(lanes, 255.0f));
}
#endif
