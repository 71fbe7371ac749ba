// The micro-kernel (kernels/gemm-inl.h), compiled for every size of a tile. Two versions of it read
// a by rows: a plain one for a product in one piece, where nearly all the time goes, and a general
// one for the rest, so that the many sizes do not multiply with the rare cases.
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_tiles.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

template <int kRows, int kVectors>
using Accumulators = Vector[kRows][kVectors];

// Rows of a in groups of three, one pointer each: x86 addresses p, p + s and p + 2s without a
// register for each row.
template <int kRows>
struct RowCursor {
  const float* group[(kRows + 2) / 3];
  std::ptrdiff_t stride;

  HWY_INLINE RowCursor(const float* a, std::ptrdiff_t a_stride) : stride(a_stride) {
    HWY_UNROLL(8)
    for (int g = 0; g < (kRows + 2) / 3; ++g) group[g] = a + 3 * g * a_stride;
  }
  static HWY_INLINE std::ptrdiff_t step_length(std::ptrdiff_t) { return 1; }
  // From one tile to the next.
  static HWY_INLINE std::ptrdiff_t tile_length(std::ptrdiff_t stride) { return kRows * stride; }
  HWY_INLINE const float* place(int i) const { return group[i / 3] + (i % 3) * stride; }
  HWY_INLINE float at(int i) const { return *place(i); }
  HWY_INLINE void next(int steps = 1) {
    HWY_UNROLL(8)
    for (int g = 0; g < (kRows + 2) / 3; ++g) group[g] += steps;
  }
};

template <int kRows>
struct ColumnCursor {
  const float* column;
  std::ptrdiff_t stride;

  HWY_INLINE ColumnCursor(const float* a, std::ptrdiff_t a_stride) : column(a), stride(a_stride) {}
  static HWY_INLINE std::ptrdiff_t step_length(std::ptrdiff_t stride) { return stride; }
  static HWY_INLINE std::ptrdiff_t tile_length(std::ptrdiff_t) { return kRows; }
  HWY_INLINE float at(int i) const { return column[i]; }
  HWY_INLINE void next() { column += stride; }
};

// Walks over what a tile fetches; fetch_beside() where the caller does not say what.
struct Fetch {
  const float* from;
  std::ptrdiff_t step;
};

template <int kRows>
HWY_INLINE Fetch fetch_beside(const RowCursor<kRows>& a) {
  // As k steps pass, kRows rows of k numbers.
  return {a.place(0) + kRows * a.stride, kRows};
}

template <int kRows>
HWY_INLINE void fetch_next(const RowCursor<kRows>&, Fetch& fetch, const float*, std::ptrdiff_t) {
  hwy::Prefetch(fetch.from);
  fetch.from += fetch.step;
}

template <int kRows>
HWY_INLINE Fetch fetch_beside(const ColumnCursor<kRows>& a) {
  return {a.column, 0};
}

template <int kRows>
HWY_INLINE void fetch_next(const ColumnCursor<kRows>& a, Fetch& fetch, const float* b,
                           std::ptrdiff_t b_stride) {
  hwy::Prefetch(fetch.from);
  fetch.from += fetch.step;
  hwy::Prefetch(a.column + kStepsAhead * a.stride);
  hwy::Prefetch(b + kStepsAhead * b_stride);
  hwy::Prefetch(b + kStepsAhead * b_stride + kPanel / 2);
}

// One step: sums += a[:,p] · b[p,:].
template <int kRows, int kVectors, class Cursor>
HWY_INLINE void step(Accumulators<kRows, kVectors>& sums, const Cursor& a,
                     const Vector (&b)[kVectors]) {
  HWY_UNROLL(16)
  for (int i = 0; i < kRows; ++i) {
    const Vector factor = hn::Set(lanes, a.at(i));
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) sums[i][v] = hn::MulAdd(factor, b[v], sums[i][v]);
  }
}

template <int kRows, int kVectors, class Cursor>
HWY_INLINE void multiply(Accumulators<kRows, kVectors>& sums, Cursor a, const float* HWY_RESTRICT b,
                         std::ptrdiff_t b_stride, std::int64_t steps, Fetch& fetch) {
  for (std::int64_t p = 0; p < steps; ++p) {
    Vector row[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) row[v] = hn::LoadU(lanes, b + v * kLanes);
    step<kRows, kVectors>(sums, a, row);
    fetch_next(a, fetch, b, b_stride);
    a.next();
    b += b_stride;
  }
}

// [x, y, x, y, …] of two numbers that follow each other.
HWY_INLINE Vector repeat_pair(const float* pair) {
  const hn::Repartition<std::uint64_t, Lanes> wide;
  std::uint64_t bits;
  std::memcpy(&bits, pair, sizeof(bits));
  return hn::BitCast(lanes, hn::Set(wide, bits));
}

// One step of a b whose last vector, at `pair`, holds two of them: the even or the odd one.
template <int kRows, int kVectors>
HWY_INLINE void step_of_pair(Accumulators<kRows, kVectors>& sums, const RowCursor<kRows>& a,
                             const float* HWY_RESTRICT b, const float* HWY_RESTRICT pair,
                             bool odd) {
  const Vector zero = hn::Zero(lanes), weights = hn::LoadU(lanes, pair);
  for (int i = 0; i < kRows; ++i) {
    const Vector factor = hn::Set(lanes, a.at(i));
    for (int v = 0; v < kVectors - 1; ++v)
      sums[i][v] = hn::MulAdd(factor, hn::LoadU(lanes, b + v * kLanes), sums[i][v]);
    const Vector half = odd ? hn::OddEven(factor, zero) : hn::OddEven(zero, factor);
    sums[i][kVectors - 1] = hn::MulAdd(half, weights, sums[i][kVectors - 1]);
  }
}

// multiply() of a b that went through pair_steps(): two steps for one product in the last vector,
// whose even lanes sum the even steps and whose odd lanes the odd ones. `odd`: the first step is
// the second of its pair.
template <int kRows, int kVectors>
HWY_INLINE void multiply_paired(Accumulators<kRows, kVectors>& sums, RowCursor<kRows> a,
                                const float* HWY_RESTRICT b, std::ptrdiff_t b_stride,
                                std::int64_t steps, Fetch& fetch, bool odd) {
  constexpr int kFull = kVectors - 1;
  if (odd && steps > 0) {
    step_of_pair<kRows, kVectors>(sums, a, b, b - b_stride + kFull * kLanes, true);
    a.next();
    b += b_stride;
    --steps;
  }
  for (; steps >= 2; steps -= 2, b += 2 * b_stride) {
    Vector first[kVectors], second[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kFull; ++v) {
      first[v] = hn::LoadU(lanes, b + v * kLanes);
      second[v] = hn::LoadU(lanes, b + b_stride + v * kLanes);
    }
    const Vector pair = hn::LoadU(lanes, b + kFull * kLanes);
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      const float* from = a.place(i);
      if constexpr (kFull > 0) {
        const Vector x = hn::Set(lanes, from[0]);
        HWY_UNROLL(4)
        for (int v = 0; v < kFull; ++v) sums[i][v] = hn::MulAdd(x, first[v], sums[i][v]);
        const Vector y = hn::Set(lanes, from[1]);
        HWY_UNROLL(4)
        for (int v = 0; v < kFull; ++v) sums[i][v] = hn::MulAdd(y, second[v], sums[i][v]);
      }
      sums[i][kFull] = hn::MulAdd(repeat_pair(from), pair, sums[i][kFull]);
    }
    fetch_next(a, fetch, b, b_stride);
    fetch_next(a, fetch, b, b_stride);
    a.next(2);
  }
  if (steps > 0) step_of_pair<kRows, kVectors>(sums, a, b, b + kFull * kLanes, false);
}

// Numbers of the lower half in the even lanes, zeros in the odd ones; and the sums of both back.
HWY_INLINE Vector spread_pairs(Vector v) {
  const hn::RebindToUnsigned<Lanes> bits;
  const hn::Repartition<std::uint64_t, Lanes> wide;
  return hn::BitCast(lanes, hn::PromoteTo(wide, hn::LowerHalf(hn::BitCast(bits, v))));
}

HWY_INLINE Vector fold_pairs(Vector v) {
  return hn::Add(hn::ConcatEven(lanes, v, v), hn::ConcatOdd(lanes, v, v));
}

// The last steps of a b that is not packed. `from`: where the tile's a begins.
template <int kRows, int kVectors, class Cursor>
HWY_INLINE void multiply_guarded(Accumulators<kRows, kVectors>& sums, const float* from,
                                 const TileInput& in, std::int64_t columns) {
  const std::int64_t first = in.steps - in.guarded;
  const float* HWY_RESTRICT b = in.b + first * in.b_stride;
  Cursor a(from + first * Cursor::step_length(in.a_stride), in.a_stride);
  for (std::int64_t p = first; p < in.steps; ++p) {
    Vector row[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors - 1; ++v) row[v] = hn::LoadU(lanes, b + v * kLanes);
    row[kVectors - 1] = load_first(b + (kVectors - 1) * kLanes, columns - (kVectors - 1) * kLanes);
    step<kRows, kVectors>(sums, a, row);
    a.next();
    b += in.b_stride;
  }
}

// How full the last vector of a tile is: `part` may be whole too.
enum class Tail { whole, part, paired };

// What a version takes of TileOutput's options; what it leaves out must not be set. bias: with
// activation and c_rows.
struct Options {
  bool accumulate, bias, residual;
};
constexpr Options kAllOptions = {true, true, true};

// The last vector of a tile, of which `rest` lanes exist. Masks cost AVX-512 nothing; elsewhere a
// whole vector is worth looking for.
template <Tail kTail>
struct LastVector {
  std::int64_t rest;
  FirstLanes first;

  HWY_INLINE LastVector(const TileOutput& out, int vectors)
      : rest(out.columns - (vectors - 1) * kLanes), first(rest) {}
  HWY_INLINE bool is_whole() const {
    constexpr bool kLooks = kTail == Tail::part && kLanes < 16;
    return kTail == Tail::whole || (kLooks && rest == kLanes);
  }
  HWY_INLINE Vector load(const float* from) const {
    return is_whole() ? hn::LoadU(lanes, from) : first.load(from);
  }
  HWY_INLINE void store(Vector v, float* to) const {
    if (is_whole())
      hn::StoreU(v, lanes, to);
    else
      first.store(v, to);
  }
};

template <int kVectors, Tail kTail>
HWY_INLINE Vector load_column(const float* row, int v, const LastVector<kTail>& last) {
  return v == kVectors - 1 ? last.load(row + v * kLanes) : hn::LoadU(lanes, row + v * kLanes);
}

template <int kRows, int kVectors, Tail kTail, Options kOptions>
HWY_INLINE void begin(Accumulators<kRows, kVectors>& sums, const TileOutput& out) {
  const LastVector<kTail> last(out, kVectors);
  if constexpr (kOptions.accumulate) {
    if (out.accumulate) {
      const float* c = out.c;
      HWY_UNROLL(16)
      for (int i = 0; i < kRows; ++i, c += out.c_stride) {
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) sums[i][v] = load_column<kVectors, kTail>(c, v, last);
        if constexpr (kTail == Tail::paired)
          sums[i][kVectors - 1] = spread_pairs(sums[i][kVectors - 1]);
      }
      return;
    }
  }
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    Vector start = hn::Zero(lanes);
    if constexpr (kOptions.bias) {
      if (out.bias) start = load_column<kVectors, kTail>(out.bias, v, last);
      if (kTail == Tail::paired && v == kVectors - 1) start = spread_pairs(start);
    }
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) sums[i][v] = start;
  }
}

template <int kVectors, Tail kTail>
HWY_INLINE void store_row(const Vector (&sums)[kVectors], float* row,
                          const LastVector<kTail>& last) {
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors - 1; ++v) hn::StoreU(sums[v], lanes, row + v * kLanes);
  last.store(sums[kVectors - 1], row + (kVectors - 1) * kLanes);
}

template <int kRows, int kVectors, Tail kTail, Options kOptions>
HWY_INLINE void finish(Accumulators<kRows, kVectors>& sums, const TileOutput& out) {
  const LastVector<kTail> last(out, kVectors);
  if constexpr (kTail == Tail::paired) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) sums[i][kVectors - 1] = fold_pairs(sums[i][kVectors - 1]);
  }
  if (kOptions.bias && out.activation != Activation::none) {
    const Clamp bounds = clamp_of(out.activation);
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sums[i][v] = clamp(sums[i][v], bounds);
    }
  }
  if (kOptions.residual && out.residual) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v)
        sums[i][v] = hn::Add(
            sums[i][v], load_column<kVectors, kTail>(out.residual + i * out.c_stride, v, last));
    }
  }
  float* c = out.c;
  HWY_UNROLL(16)
  for (int i = 0; i < kRows; ++i, c += out.c_stride)
    store_row<kVectors, kTail>(sums[i], kOptions.bias && out.c_rows ? out.c_rows[i] : c, last);
}

// One segment: paired or not.
template <int kRows, int kVectors, Tail kTail, class Cursor>
HWY_INLINE void multiply_segment(Accumulators<kRows, kVectors>& sums, const Cursor& a,
                                 const float* HWY_RESTRICT b, const TileInput& in,
                                 std::int64_t index, Fetch& fetch) {
  if constexpr (kTail == Tail::paired)
    multiply_paired<kRows, kVectors>(sums, a, b, in.b_stride, in.steps, fetch,
                                     index * in.steps % 2 != 0);
  else
    multiply<kRows, kVectors>(sums, a, b, in.b_stride, in.steps - in.guarded, fetch);
}

// All segments of all groups.
template <int kRows, int kVectors, Tail kTail, class Cursor>
HWY_INLINE void multiply_segments(Accumulators<kRows, kVectors>& sums, const float* first,
                                  const TileInput& in, Fetch& fetch) {
  const float *a = first, *b = in.b;
  for (std::int64_t group = 0, segment = 0, index = 0;; ++index) {
    multiply_segment<kRows, kVectors, kTail>(sums, Cursor(a, in.a_stride), b, in, index, fetch);
    if (++segment >= in.segments) {
      if (++group >= in.groups) break;
      segment = 0;
    }
    a = first + group * in.group_step + segment * in.segment_step;
    b += in.steps * in.b_stride;
  }
}

// A product in one piece: one segment, no guarded steps, no scattered rows.
template <int kRows, int kVectors, Tail kTail>
HWY_NOINLINE void plain_tiles(const TileInput& in, const TileOutput& first, std::int64_t tiles,
                              std::ptrdiff_t c_next) {
  TileOutput out = first;
  out.c_rows = nullptr;
  const float* a = in.a;
  Fetch fetch = {in.fetch, kLine};
  for (; tiles > 0; --tiles) {
    Accumulators<kRows, kVectors> sums;
    begin<kRows, kVectors, kTail, kAllOptions>(sums, out);
    const RowCursor<kRows> rows(a, in.a_stride);
    if (in.fetch == nullptr) fetch = fetch_beside(rows);
    if constexpr (kTail == Tail::paired)
      multiply_paired<kRows, kVectors>(sums, rows, in.b, in.b_stride, in.steps, fetch, false);
    else
      multiply<kRows, kVectors>(sums, rows, in.b, in.b_stride, in.steps, fetch);
    finish<kRows, kVectors, kTail, kAllOptions>(sums, out);
    a += kRows * in.a_stride;
    out.c += c_next;
    if (out.residual) out.residual += c_next;
  }
}

template <int kRows, int kVectors, Tail kTail, class Cursor, Options kOptions>
HWY_NOINLINE void general_tiles(const TileInput& in, const TileOutput& first, std::int64_t tiles,
                                std::ptrdiff_t c_next) {
  assert(kOptions.accumulate || !first.accumulate);
  assert(kOptions.residual || !first.residual);
  assert(kOptions.bias || (!first.bias && !first.c_rows && first.activation == Activation::none));
  TileOutput out = first;
  const float* a = in.a;
  Fetch fetch = {in.fetch, kLine};
  for (; tiles > 0; --tiles) {
    Accumulators<kRows, kVectors> sums;
    begin<kRows, kVectors, kTail, kOptions>(sums, out);
    if (in.fetch == nullptr) fetch = fetch_beside(Cursor(a, in.a_stride));
    multiply_segments<kRows, kVectors, kTail, Cursor>(sums, a, in, fetch);
    if constexpr (kTail != Tail::paired) {
      if (in.guarded > 0) multiply_guarded<kRows, kVectors, Cursor>(sums, a, in, out.columns);
    }
    finish<kRows, kVectors, kTail, kOptions>(sums, out);
    a += Cursor::tile_length(in.a_stride);
    out.c += c_next;
    if (out.residual) out.residual += c_next;
  }
}

// Channels come in multiples of eight: half a vector of 16, and one vector or more of the others.
constexpr bool kPairsAreCommon = kLanes >= 16;

template <int kRows, int kVectors>
void row_tiles(const TileInput& in, const TileOutput& out, std::int64_t tiles,
               std::ptrdiff_t c_next) {
  using Cursor = RowCursor<kRows>;
  const bool plain = in.segments == 1 && in.groups == 1 && in.guarded == 0 && !out.c_rows;
  if (in.paired) {
    if constexpr (kPairsAreCommon) {
      if (plain) return plain_tiles<kRows, kVectors, Tail::paired>(in, out, tiles, c_next);
    }
    // Where pairs are common, only full convolutions come here.
    constexpr Options kOptions = {!kPairsAreCommon, true, !kPairsAreCommon};
    return general_tiles<kRows, kVectors, Tail::paired, Cursor, kOptions>(in, out, tiles, c_next);
  }
  if (plain && out.columns % kLanes == 0)
    return plain_tiles<kRows, kVectors, Tail::whole>(in, out, tiles, c_next);
  general_tiles<kRows, kVectors, Tail::part, Cursor, kAllOptions>(in, out, tiles, c_next);
}

template <int kRows, int kVectors>
void column_tile(const TileInput& in, const TileOutput& out) {
  constexpr Options kOptions = {false, false, true};
  general_tiles<kRows, kVectors, Tail::part, ColumnCursor<kRows>, kOptions>(in, out, 1, 0);
}

template <int kVectors, int... kRows>
constexpr std::array<TilesKernel, kTileRows> row_kernels(std::integer_sequence<int, kRows...>) {
  return {&row_tiles<kRows + 1, kVectors>...};
}

template <int kVectors, int... kRows>
constexpr std::array<ColumnTileKernel, kTileRows> column_kernels(
    std::integer_sequence<int, kRows...>) {
  return {&column_tile<kRows + 1, kVectors>...};
}

using Heights = std::make_integer_sequence<int, kTileRows>;
using Widths = std::make_integer_sequence<int, kTileVectors>;

template <int... kVectors>
constexpr ByTileSize<TilesKernel> all_row_kernels(std::integer_sequence<int, kVectors...>) {
  return {row_kernels<kVectors + 1>(Heights())...};
}

template <int... kVectors>
constexpr ByTileSize<ColumnTileKernel> all_column_kernels(std::integer_sequence<int, kVectors...>) {
  return {column_kernels<kVectors + 1>(Heights())...};
}

}  // namespace

constinit const ByTileSize<TilesKernel> kTilesKernels = all_row_kernels(Widths());
constinit const ByTileSize<ColumnTileKernel> kColumnTileKernels = all_column_kernels(Widths());

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
