// The micro-kernel of every matrix product: a tile of c, kTileRows rows by kTileVectors vectors,
// stays in registers while k runs. Pointwise convolutions, dense layers, full convolutions and the
// fused blocks all call it; they differ in where rows of a begin and where rows of c go. It is
// compiled in gemm_tiles.cc; here is how to call it, and how b is packed for it.
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

// A tile by columns fetches what it reads so many steps later.
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

// Kernels by vectors and rows of a tile, both from 1.
template <class Kernel>
using ByTileSize = std::array<std::array<Kernel, kTileRows>, kTileVectors>;

using TilesKernel = void (*)(const TileInput&, const TileOutput&, std::int64_t tiles,
                             std::ptrdiff_t c_next);
using ColumnTileKernel = void (*)(const TileInput&, const TileOutput&);

extern const ByTileSize<TilesKernel> kTilesKernels;
extern const ByTileSize<ColumnTileKernel> kColumnTileKernels;

template <class Kernel>
HWY_INLINE Kernel kernel_of(const ByTileSize<Kernel>& kernels, std::int64_t rows,
                            std::int64_t columns) {
  const auto vectors = static_cast<std::size_t>(divide_up(columns, kLanes));
  return kernels[vectors - 1][static_cast<std::size_t>(rows - 1)];
}

// `tiles` tiles of `rows` <= kTileRows rows each, one below the other: their rows of a follow each
// other, and c begins c_next further on with each tile. Several tiles: no out.c_rows.
HWY_INLINE void run_tiles(std::int64_t rows, std::int64_t tiles, const TileInput& in,
                          const TileOutput& out, std::ptrdiff_t c_next) {
  kernel_of(kTilesKernels, rows, out.columns)(in, out, tiles, c_next);
}

// One tile.
HWY_INLINE void run_tile(std::int64_t rows, const TileInput& in, const TileOutput& out) {
  run_tiles(rows, 1, in, out, 0);
}

// One tile whose a lies by columns. Of out's options it takes the residual alone.
HWY_INLINE void run_column_tile(std::int64_t rows, const TileInput& in, const TileOutput& out) {
  kernel_of(kColumnTileKernels, rows, out.columns)(in, out);
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
