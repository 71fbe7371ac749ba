// Scaling and integral images of a strip, once for each SIMD target.
// All pixels and sums are 32-bit lanes: exact, and the same lanes as the classifier reads.
// Rows of pixels are stored from column 1; column 0 holds 0, so that an inclusive prefix sum over a
// row is the row's share of the integral image.

#if defined(VISION_HAAR_INTEGRAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VISION_HAAR_INTEGRAL_INL_H_
#undef VISION_HAAR_INTEGRAL_INL_H_
#else
#define VISION_HAAR_INTEGRAL_INL_H_
#endif

#include <hwy/highway.h>

#include "vision/haar/haar_strip.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::vision {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using I32 = hn::ScalableTag<std::int32_t>;
using VI = hn::Vec<I32>;

// blended[x] = the source row at `index` + `fraction` / 256, times 256.
HWY_INLINE void blend_rows(const HaarLevel& level, int row, std::int32_t* HWY_RESTRICT blended) {
  const I32 d;
  const hn::Rebind<std::uint8_t, I32> d8;
  const int index = level.rows.index[row];
  const int fraction = level.rows.fraction[row];
  const std::size_t width = static_cast<std::size_t>(level.source_width);
  const std::uint8_t* HWY_RESTRICT upper = level.pixels + index * width;
  const std::uint8_t* HWY_RESTRICT lower = fraction == 0 ? upper : upper + width;
  const VI weight_upper = hn::Set(d, 256 - fraction);
  const VI weight_lower = hn::Set(d, fraction);
  std::size_t x = 0;
  for (; x + hn::Lanes(d) <= width; x += hn::Lanes(d)) {
    const VI a = hn::PromoteTo(d, hn::LoadU(d8, upper + x));
    const VI b = hn::PromoteTo(d, hn::LoadU(d8, lower + x));
    hn::StoreU(hn::Add(hn::Mul(a, weight_upper), hn::Mul(b, weight_lower)), d, blended + x);
  }
  for (; x < width; ++x) blended[x] = upper[x] * (256 - fraction) + lower[x] * fraction;
  blended[width] = 0;
}

// pixels[1 + x] = the scaled picture at (x, row); zeros follow the row.
HWY_INLINE void scale_row(const HaarLevel& level, int row, std::int32_t* HWY_RESTRICT blended,
                          std::int32_t* HWY_RESTRICT pixels) {
  const I32 d;
  blend_rows(level, row, blended);
  const VI whole = hn::Set(d, 256);
  const VI half = hn::Set(d, 1 << 15);
  const std::int32_t* HWY_RESTRICT index = level.columns.index.data();
  const std::int32_t* HWY_RESTRICT fraction = level.columns.fraction.data();
  const std::size_t width = static_cast<std::size_t>(level.width);
  pixels[0] = 0;
  for (std::size_t x = 0; x < width; x += hn::Lanes(d)) {
    const VI at = hn::LoadU(d, index + x);
    const VI part = hn::LoadU(d, fraction + x);
    const VI left = hn::GatherIndex(d, blended, at);
    const VI right = hn::GatherIndex(d, blended + 1, at);
    const VI sum = hn::Add(hn::Mul(left, hn::Sub(whole, part)), hn::Mul(right, part));
    hn::StoreU(hn::ShiftRight<16>(hn::Add(sum, half)), d, pixels + 1 + x);
  }
  for (std::size_t x = width; x < width + 2 * hn::Lanes(d); ++x) pixels[1 + x] = 0;
}

// Inclusive sums over the lanes of a vector.
class PrefixSum {
 public:
  HWY_INLINE explicit PrefixSum(I32 d) {
    const VI lane = hn::Iota(d, 0);
    for (std::size_t shift = 1; shift < hn::Lanes(d); shift *= 2) {
      const VI by = hn::Set(d, static_cast<std::int32_t>(shift));
      hn::StoreU(hn::Max(hn::Sub(lane, by), hn::Zero(d)), d, source_[step(shift)]);
    }
  }

  HWY_INLINE VI operator()(I32 d, VI v) const {
    const VI lane = hn::Iota(d, 0);
    for (std::size_t shift = 1; shift < hn::Lanes(d); shift *= 2) {
      const VI first = hn::Set(d, static_cast<std::int32_t>(shift) - 1);
      const auto moved = hn::TableLookupLanes(v, hn::SetTableIndices(d, source_[step(shift)]));
      v = hn::Add(v, hn::IfThenElseZero(hn::Gt(lane, first), moved));
    }
    return v;
  }

 private:
  static HWY_INLINE std::size_t step(std::size_t shift) {
    return hwy::Num0BitsBelowLS1Bit_Nonzero32(static_cast<std::uint32_t>(shift));
  }
  HWY_ALIGN std::int32_t source_[6][hn::MaxLanes(I32())];
};

// Running sums of pixels and of their squares along a row.
class RowSums {
 public:
  HWY_INLINE RowSums(I32 d, const PrefixSum& prefix)
      : prefix_(prefix), carry_(hn::Zero(d)), square_carry_(hn::Zero(d)) {}

  HWY_INLINE void next(I32 d, VI pixels, VI& sums, VI& squares) {
    sums = hn::Add(prefix_(d, pixels), carry_);
    squares = hn::Add(prefix_(d, hn::Mul(pixels, pixels)), square_carry_);
    carry_ = last(d, sums);
    square_carry_ = last(d, squares);
  }

 private:
  static HWY_INLINE VI last(I32 d, VI v) {
    const VI end = hn::Set(d, static_cast<std::int32_t>(hn::Lanes(d) - 1));
    return hn::TableLookupLanes(v, hn::IndicesFromVec(d, end));
  }
  const PrefixSum& prefix_;
  VI carry_;
  VI square_carry_;
};

// One row of the integral images from the row above and the row's pixels; columns as they come.
HWY_INLINE void integrate_row(const std::int32_t* HWY_RESTRICT pixels, std::size_t columns,
                              int stride, const PrefixSum& prefix, std::int32_t* sums,
                              std::int32_t* squares) {
  const I32 d;
  const std::size_t lanes = hn::Lanes(d);
  RowSums running(d, prefix);
  for (std::size_t x = 0; x < columns; x += lanes) {
    VI sum, square;
    running.next(d, hn::LoadU(d, pixels + x), sum, square);
    hn::StoreU(hn::Add(sum, hn::LoadU(d, sums + x - stride)), d, sums + x);
    hn::StoreU(hn::Add(square, hn::LoadU(d, squares + x - stride)), d, squares + x);
  }
}

// The same with even columns at 0 and odd columns at stride / 2.
HWY_INLINE void integrate_row_split(const std::int32_t* HWY_RESTRICT pixels, std::size_t columns,
                                    int stride, const PrefixSum& prefix, std::int32_t* sums,
                                    std::int32_t* squares) {
  const I32 d;
  const std::size_t lanes = hn::Lanes(d);
  const int half = stride / 2;
  const auto store = [&](VI low, VI high, std::int32_t* to) HWY_ATTR {
    const VI even = hn::ConcatEven(d, high, low);
    const VI odd = hn::ConcatOdd(d, high, low);
    hn::StoreU(hn::Add(even, hn::LoadU(d, to - stride)), d, to);
    hn::StoreU(hn::Add(odd, hn::LoadU(d, to + half - stride)), d, to + half);
  };
  RowSums running(d, prefix);
  for (std::size_t x = 0; x < columns; x += 2 * lanes) {
    VI low_sum, low_square, high_sum, high_square;
    running.next(d, hn::LoadU(d, pixels + x), low_sum, low_square);
    running.next(d, hn::LoadU(d, pixels + x + lanes), high_sum, high_square);
    store(low_sum, high_sum, sums + x / 2);
    store(low_square, high_square, squares + x / 2);
  }
}

// Tilted sums (Lienhart and Maydt 2002, section 2.2): with column X a corner between pixels X - 1
// and X, T(Y, X) = T(Y-1, X-1) + T(Y-1, X+1) - T(Y-2, X) + p(Y-1, X-1) + p(Y-2, X-1). `now` and the
// two rows above it begin at column 0, with room for column -1; pixels as stored.
HWY_INLINE void tilt_row(const std::int32_t* HWY_RESTRICT pixels,
                         const std::int32_t* HWY_RESTRICT pixels_above, std::size_t columns,
                         std::int32_t* HWY_RESTRICT now, std::int32_t* HWY_RESTRICT above,
                         const std::int32_t* HWY_RESTRICT above2) {
  const I32 d;
  // Outside the picture T(Y-1, -1) = T(Y-2, 0) and, past the last column W, T(Y-1, W+1) = T(Y-2,
  // W).
  above[-1] = above2[0];
  above[columns] = above2[columns - 1];
  for (std::size_t x = 0; x < columns; x += hn::Lanes(d)) {
    const VI sides = hn::Add(hn::LoadU(d, above + x - 1), hn::LoadU(d, above + x + 1));
    const VI light = hn::Add(hn::LoadU(d, pixels + x), hn::LoadU(d, pixels_above + x));
    hn::StoreU(hn::Add(hn::Sub(sides, hn::LoadU(d, above2 + x)), light), d, now + x);
  }
}

// Puts a row of columns in the layout of the integral images.
HWY_INLINE void place_row(const std::int32_t* HWY_RESTRICT row, std::size_t columns, int step,
                          int stride, std::int32_t* HWY_RESTRICT to) {
  const I32 d;
  const std::size_t lanes = hn::Lanes(d);
  if (step == 1) {
    for (std::size_t x = 0; x < columns; x += lanes) hn::StoreU(hn::LoadU(d, row + x), d, to + x);
    return;
  }
  for (std::size_t x = 0; x < columns; x += 2 * lanes) {
    const VI low = hn::LoadU(d, row + x);
    const VI high = hn::LoadU(d, row + x + lanes);
    hn::StoreU(hn::ConcatEven(d, high, low), d, to + x / 2);
    hn::StoreU(hn::ConcatOdd(d, high, low), d, to + stride / 2 + x / 2);
  }
}

// Fills the workspace with the integral images of `rows` scaled rows from `first`.
HWY_INLINE void integrate(const HaarLevel& level, int first, int rows, HaarWorkspace& space) {
  const HaarLayout& layout = *level.layout;
  const int stride = layout.stride;
  const std::size_t columns = static_cast<std::size_t>(level.width) + 1;
  const PrefixSum prefix{I32()};
  std::int32_t* sums = space.sums.get();
  std::int32_t* squares = space.squares.get();
  std::fill_n(sums, stride, 0);
  std::fill_n(squares, stride, 0);
  const std::size_t margin = haar_padding();
  if (space.has_tilted) {
    std::fill_n(sums + layout.tilted_offset, stride, 0);
    for (auto& row : space.tilted) std::fill_n(row.get(), columns + 2 * margin, 0);
    std::fill_n(space.pixels[1].get(), columns + margin, 0);
  }
  for (int y = 0; y < rows; ++y) {
    std::int32_t* pixels = space.pixels[y % 2].get();
    scale_row(level, first + y, space.blended.get(), pixels);
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(y + 1) * stride;
    (layout.step == 1 ? integrate_row : integrate_row_split)(pixels, columns, stride, prefix,
                                                             sums + at, squares + at);
    if (!space.has_tilted) continue;
    const auto tilted = [&](int back) { return space.tilted[(y + 3 - back) % 3].get() + margin; };
    tilt_row(pixels, space.pixels[(y + 1) % 2].get(), columns, tilted(0), tilted(1), tilted(2));
    place_row(tilted(0), columns, layout.step, stride, sums + layout.tilted_offset + at);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace maskwatch::vision
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
