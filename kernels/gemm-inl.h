// The micro-kernel of every matrix product: a tile of c, kTileRows rows by kTileVectors vectors,
// stays in registers while k runs. Pointwise convolutions, dense layers, full convolutions and the
// fused blocks all call it; they differ in where rows of a begin and where rows of c go.
// Included once for each target.
#if defined(KERNELS_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERNELS_GEMM_INL_H_
#undef KERNELS_GEMM_INL_H_
#else
#define KERNELS_GEMM_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

// Accumulators, one row of b and one number of a fill the registers: 32 of them in AVX-512 and
// NEON, else 16.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
constexpr int kTileRows = 14, kTileVectors = 2;
#elif HWY_ARCH_ARM_A64
constexpr int kTileRows = 6, kTileVectors = 4;
#else
constexpr int kTileRows = 6, kTileVectors = 2;
#endif

// Columns of a packed panel: packed[panel][k][kPanel], the last one filled up with zeros.
constexpr std::int64_t kPanel = kTileVectors * kLanes;

// Row i of a begins at a + i · a_stride, or by columns: step p of a begins at a + p · a_stride.
// The inner product runs over groups of segments of steps. Steps of a segment follow each other in
// memory; segments begin segment_step apart, groups group_step apart. b has all steps in one piece.
struct TileInput {
  const float* a;
  std::ptrdiff_t a_stride;
  const float* b;
  std::ptrdiff_t b_stride;  // from one step to the next
  std::int64_t steps;       // in one segment
  std::int64_t segments = 1, segment_step = 0;
  std::int64_t groups = 1, group_step = 0;
  // Last steps whose row of b ends where memory ends: they load the columns that exist, no more.
  // The steps before may load, and ignore, what follows the columns. One segment only.
  std::int64_t guarded = 0;
  // What to bring into the cache meanwhile, a line of it with each step. Or null: rows of a that
  // follow the tile, if a lies by rows.
  const float* fetch = nullptr;
  // Whether the last vector of b holds pairs of steps: pair_steps(). Rows only.
  bool paired = false;
};

// Whether a panel's last vector is no more than half full, so that two steps fit into it.
constexpr bool pairs_steps(std::int64_t columns) {
  const std::int64_t rest = columns % kLanes;
  return rest > 0 && rest <= kLanes / 2;
}

// Numbers in a cache line.
constexpr std::int64_t kLine = 16;

// Columns: the tile to come is as many steps on.
constexpr std::int64_t kStepsAhead = 128;

// What becomes of the sums. c starts from its own value, else from bias (or null: zeros).
struct TileOutput {
  float* c;
  std::ptrdiff_t c_stride;
  float* const* c_rows = nullptr;  // or: where each row begins; then no accumulate, no residual
  std::int64_t columns = kPanel;   // those that exist, at most kPanel
  const float* bias = nullptr;
  const float* residual = nullptr;  // or null; strides like c
  Activation activation = Activation::none;
  bool accumulate = false;
};

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
  HWY_INLINE float at(int i) const { return column[i]; }
  HWY_INLINE void next() { column += stride; }
};

// Walks over what a tile fetches.
struct Fetch {
  const float* from;
  std::ptrdiff_t step;
};

template <int kRows>
HWY_INLINE Fetch fetch_of(const RowCursor<kRows>&, const TileInput& in) {
  // As k steps pass, kRows rows of k numbers.
  if (in.fetch == nullptr) return {in.a + kRows * in.a_stride, kRows};
  return {in.fetch, kLine};
}

template <int kRows>
HWY_INLINE void fetch_next(const RowCursor<kRows>&, Fetch& fetch, const float*, std::ptrdiff_t) {
  hwy::Prefetch(fetch.from);
  fetch.from += fetch.step;
}

template <int kRows>
HWY_INLINE Fetch fetch_of(const ColumnCursor<kRows>&, const TileInput& in) {
  if (in.fetch == nullptr) return {in.a, 0};
  return {in.fetch, kLine};
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

// The last steps of a b that is not packed.
template <int kRows, int kVectors, class Cursor>
HWY_INLINE void multiply_guarded(Accumulators<kRows, kVectors>& sums, const TileInput& in,
                                 std::int64_t columns) {
  const std::int64_t first = in.steps - in.guarded;
  const float* HWY_RESTRICT b = in.b + first * in.b_stride;
  Cursor a(in.a + first * Cursor::step_length(in.a_stride), in.a_stride);
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

template <int kVectors, bool kWhole>
HWY_INLINE Vector load_column(const float* row, int v, std::int64_t rest) {
  return v == kVectors - 1 ? load_part<kWhole>(row + v * kLanes, rest)
                           : hn::LoadU(lanes, row + v * kLanes);
}

// How full the last vector of a tile is.
enum class Tail { whole, part, paired };

constexpr bool is_whole(Tail tail) { return tail == Tail::whole; }

HWY_INLINE Tail tail_of(const TileInput& in, const TileOutput& out) {
  return in.paired ? Tail::paired : out.columns % kLanes == 0 ? Tail::whole : Tail::part;
}

template <int kRows, int kVectors, Tail kTail>
HWY_INLINE void begin(Accumulators<kRows, kVectors>& sums, const TileOutput& out) {
  constexpr bool kWhole = is_whole(kTail);
  const std::int64_t rest = out.columns - (kVectors - 1) * kLanes;
  if (out.accumulate) {
    const float* c = out.c;
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i, c += out.c_stride) {
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sums[i][v] = load_column<kVectors, kWhole>(c, v, rest);
      if constexpr (kTail == Tail::paired)
        sums[i][kVectors - 1] = spread_pairs(sums[i][kVectors - 1]);
    }
    return;
  }
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    Vector start = out.bias ? load_column<kVectors, kWhole>(out.bias, v, rest) : hn::Zero(lanes);
    if (kTail == Tail::paired && v == kVectors - 1) start = spread_pairs(start);
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) sums[i][v] = start;
  }
}

template <int kVectors, bool kWhole>
HWY_INLINE void store_row(const Vector (&sums)[kVectors], float* row, std::int64_t rest) {
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors - 1; ++v) hn::StoreU(sums[v], lanes, row + v * kLanes);
  store_part<kWhole>(sums[kVectors - 1], row + (kVectors - 1) * kLanes, rest);
}

template <int kRows, int kVectors, Tail kTail>
HWY_INLINE void finish(Accumulators<kRows, kVectors>& sums, const TileOutput& out) {
  constexpr bool kWhole = is_whole(kTail);
  const std::int64_t rest = out.columns - (kVectors - 1) * kLanes;
  if constexpr (kTail == Tail::paired) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) sums[i][kVectors - 1] = fold_pairs(sums[i][kVectors - 1]);
  }
  if (out.activation != Activation::none) {
    const Clamp bounds = clamp_of(out.activation);
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sums[i][v] = clamp(sums[i][v], bounds);
    }
  }
  if (out.residual) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        const float* r = out.residual + i * out.c_stride + v * kLanes;
        sums[i][v] = hn::Add(sums[i][v],
                             v == kVectors - 1 ? load_part<kWhole>(r, rest) : hn::LoadU(lanes, r));
      }
    }
  }
  if (out.c_rows) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) store_row<kVectors, kWhole>(sums[i], out.c_rows[i], rest);
  } else {
    float* c = out.c;
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i, c += out.c_stride)
      store_row<kVectors, kWhole>(sums[i], c, rest);
  }
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

template <int kRows, int kVectors, Tail kTail, template <int> class Cursor>
HWY_INLINE void tile_with(const TileInput& in, const TileOutput& out) {
  Accumulators<kRows, kVectors> sums;
  begin<kRows, kVectors, kTail>(sums, out);
  const float* b = in.b;
  Fetch fetch = fetch_of(Cursor<kRows>(in.a, in.a_stride), in);
  const float* a = in.a;
  for (std::int64_t group = 0, segment = 0, index = 0;; ++index) {
    multiply_segment<kRows, kVectors, kTail>(sums, Cursor<kRows>(a, in.a_stride), b, in, index,
                                             fetch);
    if (++segment >= in.segments) {
      if (++group >= in.groups) break;
      segment = 0;
    }
    a = in.a + group * in.group_step + segment * in.segment_step;
    b += in.steps * in.b_stride;
  }
  if (in.guarded > 0) multiply_guarded<kRows, kVectors, Cursor<kRows>>(sums, in, out.columns);
  finish<kRows, kVectors, kTail>(sums, out);
}

template <int kRows, int kVectors, template <int> class Cursor>
void tile(const TileInput& in, const TileOutput& out) {
  switch (tail_of(in, out)) {
    case Tail::whole:
      return tile_with<kRows, kVectors, Tail::whole, Cursor>(in, out);
    case Tail::part:
      return tile_with<kRows, kVectors, Tail::part, Cursor>(in, out);
    case Tail::paired:
      if constexpr (std::is_same_v<Cursor<kRows>, RowCursor<kRows>>)
        return tile_with<kRows, kVectors, Tail::paired, Cursor>(in, out);
  }
}

// Tiles one below the other, the rows of a following each other and those of c beginning c_next
// further on with each tile. One segment, no guarded steps, no scattered rows.
template <int kRows, int kVectors, Tail kTail, bool kGrouped>
HWY_NOINLINE void run_down(const TileInput& in, const TileOutput& first, std::int64_t tiles,
                           std::ptrdiff_t c_next) {
  TileOutput out = first;
  out.c_rows = nullptr;
  const float* a = in.a;
  Fetch fetch = {in.fetch, kLine};
  for (; tiles > 0; --tiles) {
    Accumulators<kRows, kVectors> sums;
    begin<kRows, kVectors, kTail>(sums, out);
    if (in.fetch == nullptr) fetch = {a + kRows * in.a_stride, kRows};
    const std::int64_t groups = kGrouped ? in.groups : 1;
    for (std::int64_t group = 0; group < groups; ++group)
      multiply_segment<kRows, kVectors, kTail>(
          sums, RowCursor<kRows>(a + group * in.group_step, in.a_stride),
          in.b + group * in.steps * in.b_stride, in, group, fetch);
    finish<kRows, kVectors, kTail>(sums, out);
    a += kRows * in.a_stride;
    out.c += c_next;
    if (out.residual) out.residual += c_next;
  }
}

template <int kRows, int kVectors, Tail kTail>
void tiles_down_with(const TileInput& in, const TileOutput& out, std::int64_t tiles,
                     std::ptrdiff_t c_next) {
  in.groups > 1 ? run_down<kRows, kVectors, kTail, true>(in, out, tiles, c_next)
                : run_down<kRows, kVectors, kTail, false>(in, out, tiles, c_next);
}

template <int kRows, int kVectors>
void tiles_down(const TileInput& in, const TileOutput& out, std::int64_t tiles,
                std::ptrdiff_t c_next) {
  switch (tail_of(in, out)) {
    case Tail::whole:
      return tiles_down_with<kRows, kVectors, Tail::whole>(in, out, tiles, c_next);
    case Tail::part:
      return tiles_down_with<kRows, kVectors, Tail::part>(in, out, tiles, c_next);
    case Tail::paired:
      return tiles_down_with<kRows, kVectors, Tail::paired>(in, out, tiles, c_next);
  }
}

using Tile = void (*)(const TileInput&, const TileOutput&);
using TilesOfVectors = std::array<Tile, kTileRows>;
using Tiles = std::array<TilesOfVectors, kTileVectors>;

template <template <int> class Cursor, int kVectors, int... kRows>
constexpr TilesOfVectors tiles_of(std::integer_sequence<int, kRows...>) {
  return {&tile<kRows + 1, kVectors, Cursor>...};
}

template <template <int> class Cursor, int... kVectors>
constexpr Tiles all_tiles(std::integer_sequence<int, kVectors...>) {
  return {tiles_of<Cursor, kVectors + 1>(std::make_integer_sequence<int, kTileRows>())...};
}

template <template <int> class Cursor>
inline constexpr Tiles tiles = all_tiles<Cursor>(std::make_integer_sequence<int, kTileVectors>());

// A tile of c of `rows` <= kTileRows rows; RowCursor or ColumnCursor says how a lies.
template <template <int> class Cursor>
HWY_INLINE void run_tile(std::int64_t rows, const TileInput& in, const TileOutput& out) {
  const auto vectors = static_cast<std::size_t>(divide_up(out.columns, kLanes));
  tiles<Cursor>[vectors - 1][static_cast<std::size_t>(rows - 1)](in, out);
}

using TilesDown = void (*)(const TileInput&, const TileOutput&, std::int64_t, std::ptrdiff_t);
using TilesDownOfVectors = std::array<TilesDown, kTileRows>;

template <int kVectors, int... kRows>
constexpr TilesDownOfVectors tiles_down_of(std::integer_sequence<int, kRows...>) {
  return {&tiles_down<kRows + 1, kVectors>...};
}

template <int... kVectors>
constexpr std::array<TilesDownOfVectors, kTileVectors> all_tiles_down(
    std::integer_sequence<int, kVectors...>) {
  return {tiles_down_of<kVectors + 1>(std::make_integer_sequence<int, kTileRows>())...};
}

// `tiles` tiles of `rows` rows each.
HWY_INLINE void run_tiles_down(std::int64_t rows, std::int64_t tiles, const TileInput& in,
                               const TileOutput& out, std::ptrdiff_t c_next) {
  static constexpr auto kernels = all_tiles_down(std::make_integer_sequence<int, kTileVectors>());
  const auto vectors = static_cast<std::size_t>(divide_up(out.columns, kLanes));
  kernels[vectors - 1][static_cast<std::size_t>(rows - 1)](in, out, tiles, c_next);
}

// body(first row, rows of a tile, tiles): the tiles of for_each_tile, those of one height together.
template <class Body>
HWY_INLINE void for_each_run(Range rows, const Body& body) {
  const std::int64_t count = rows.end - rows.begin, parts = divide_up(count, kTileRows);
  if (count <= 0) return;
  const std::int64_t height = count / parts, higher = count % parts;
  if (higher > 0) body(rows.begin, height + 1, higher);
  body(rows.begin + higher * (height + 1), height, parts - higher);
}

// body(first row, rows) for tiles of nearly equal height over rows [begin, end).
template <class Body>
HWY_INLINE void for_each_tile(Range rows, const Body& body) {
  const std::int64_t count = rows.end - rows.begin, parts = divide_up(count, kTileRows);
  for (std::int64_t t = 0; t < parts; ++t) {
    const Range r = part(count, parts, t);
    body(rows.begin + r.begin, r.end - r.begin);
  }
}

// One panel of b[k,n].
inline void pack_panel(float* HWY_RESTRICT packed, const float* HWY_RESTRICT b,
                       std::int64_t columns, std::int64_t b_stride, std::int64_t k) {
  for (std::int64_t p = 0; p < k; ++p, packed += kPanel, b += b_stride) {
    if (columns == kPanel) {
      for (std::int64_t j = 0; j < kPanel; j += kLanes)
        hn::StoreU(hn::LoadU(lanes, b + j), lanes, packed + j);
    } else {
      for (std::int64_t j = 0; j < columns; ++j) packed[j] = b[j];
      for (std::int64_t j = columns; j < kPanel; ++j) packed[j] = 0;
    }
  }
}

// Puts steps 2i and 2i + 1 of a packed panel's last vector side by side, where both fit into it:
// their numbers of one column follow each other, as those of a row of a do, and one multiplication
// serves both.
inline void pair_steps(float* packed, std::int64_t columns, std::int64_t k) {
  if (!pairs_steps(columns)) return;
  packed += columns / kLanes * kLanes;
  for (std::int64_t p = 0; p < k; p += 2, packed += 2 * kPanel) {
    HWY_ALIGN float pairs[kLanes] = {};
    for (std::int64_t j = 0; j < kLanes / 2; ++j) {
      pairs[2 * j] = packed[j];
      if (p + 1 < k) pairs[2 * j + 1] = packed[kPanel + j];
    }
    std::memcpy(packed, pairs, sizeof(pairs));
    if (p + 1 < k) std::memset(packed + kPanel, 0, sizeof(pairs));
  }
}

// One panel of bᵀ, b[n,k]; b_stride from one row of b to the next.
inline void pack_panel_transposed(float* HWY_RESTRICT packed, const float* HWY_RESTRICT b,
                                  std::int64_t columns, std::int64_t b_stride, std::int64_t k) {
  constexpr std::int64_t kBlock = 16;  // one cache line of every row of b at a time
  for (std::int64_t p = 0; p < k; p += kBlock, packed += kBlock * kPanel) {
    const std::int64_t steps = std::min(kBlock, k - p);
    for (std::int64_t j = 0; j < columns; ++j)
      for (std::int64_t i = 0; i < steps; ++i) packed[i * kPanel + j] = b[j * b_stride + p + i];
    for (std::int64_t i = 0; i < steps; ++i)
      for (std::int64_t j = columns; j < kPanel; ++j) packed[i * kPanel + j] = 0;
  }
}

// Steps at the end of b[k,n] from which a whole vector would leave the matrix, when `columns` of it
// are wanted.
HWY_INLINE std::int64_t guarded_steps(std::int64_t columns, std::int64_t n, std::int64_t k) {
  const std::int64_t beyond = divide_up(columns, kLanes) * kLanes - columns;
  return std::min(k, divide_up(beyond, n));
}

// What a later loop over tiles will read: the tiles of this one fetch it, a line for each of their
// steps, until all is on the way.
class Upcoming {
 public:
  Upcoming() = default;
  HWY_INLINE Upcoming(const float* from, std::int64_t count) { add(from, count); }

  // After what was added before; four times at most.
  HWY_INLINE void add(const float* from, std::int64_t count) {
    if (count > 0) pieces_[end_++] = {from, count};
  }

  // Where a tile of so many steps starts to fetch, or null when nothing is left.
  HWY_INLINE const float* take(std::int64_t steps) {
    if (next_ == end_) return nullptr;
    Piece& piece = pieces_[next_];
    const float* from = piece.from;
    piece.from += steps * kLine;
    piece.left -= steps * kLine;
    if (piece.left <= 0) ++next_;
    return from;
  }

 private:
  struct Piece {
    const float* from;
    std::int64_t left;
  };
  Piece pieces_[4] = {};
  int next_ = 0, end_ = 0;
};

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
