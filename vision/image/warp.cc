// A row of the output is made in two passes. First, in plain code, the four neighbours of each
// output pixel are fetched into four arrays of 32-bit words (R, G, B and a byte that does not
// matter) and the position between them into a fifth; then vectors of words are mixed, red with
// blue and green with the fourth byte in 16-bit halves of a word. There is no gather instruction:
// many processors split it into loads and are slower with it.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vision/image/warp.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef VISION_WARP_ROW
#define VISION_WARP_ROW
#include <cstdint>
namespace maskwatch::vision {

// [4][size] neighbours (top left, top right, bottom left, bottom right), then positions: the low
// half of a word is the share of the right, the high half that of the bottom, in 1/65536. `size` is
// a multiple of any vector's lanes.
struct WarpRow {
  const std::uint32_t* corners[4];
  const std::uint32_t* position;
  std::uint32_t* mixed;
  int size;
};

}  // namespace maskwatch::vision
#endif

HWY_BEFORE_NAMESPACE();
namespace maskwatch::vision::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Truncation takes 1/256 from each of four products, 2/256 on average: the rounding constant gives
// it back.
constexpr std::uint16_t kRounding = 128 + 2;

#if HWY_TARGET == HWY_SCALAR
void MixCorners(const WarpRow& row) {
  for (int i = 0; i < row.size; ++i) {
    const std::uint32_t fx = row.position[i] & 0xFFFF, fy = row.position[i] >> 16;
    const std::uint32_t w11 = fx * fy >> 16, w01 = fx * (65535 - fy) >> 16;
    const std::uint32_t w10 = (65535 - fx) * fy >> 16;
    const std::uint32_t weights[4] = {65535 - w01 - w10 - w11, w01, w10, w11};
    std::uint32_t out = 0;
    for (int shift = 0; shift < 24; shift += 8) {
      std::uint32_t sum = kRounding;
      for (int c = 0; c < 4; ++c)
        sum += ((row.corners[c][i] >> shift & 255) << 8) * weights[c] >> 16;
      out |= (sum >> 8) << shift;
    }
    row.mixed[i] = out;
  }
}
#else
void MixCorners(const WarpRow& row) {
  const hn::ScalableTag<std::uint32_t> d32;
  const hn::Repartition<std::uint16_t, decltype(d32)> d16;
  const int lanes = static_cast<int>(hn::Lanes(d32));
  const auto low = hn::Set(d32, 0xFFFF), odd = hn::Set(d32, 0xFF00FF00);
  const auto ones = hn::Set(d16, 0xFFFF), round = hn::Set(d16, kRounding);
  for (int i = 0; i < row.size; i += lanes) {
    const auto position = hn::LoadU(d32, row.position + i);
    const auto right = hn::And(position, low), bottom = hn::ShiftRight<16>(position);
    const auto fx = hn::BitCast(d16, hn::Or(right, hn::ShiftLeft<16>(right)));
    const auto fy = hn::BitCast(d16, hn::Or(bottom, hn::ShiftLeft<16>(bottom)));
    const auto w11 = hn::MulHigh(fx, fy), w01 = hn::MulHigh(fx, hn::Sub(ones, fy));
    const auto w10 = hn::MulHigh(hn::Sub(ones, fx), fy);
    const auto w00 = hn::Sub(hn::Sub(ones, w01), hn::Add(w10, w11));
    auto red_blue = round, green = round;
    const auto add = [&](const std::uint32_t* corner, decltype(w00) weight) HWY_ATTR {
      const auto pixel = hn::LoadU(d32, corner + i);
      red_blue = hn::Add(
          red_blue, hn::MulHigh(hn::BitCast(d16, hn::And(hn::ShiftLeft<8>(pixel), odd)), weight));
      green = hn::Add(green, hn::MulHigh(hn::BitCast(d16, hn::And(pixel, odd)), weight));
    };
    add(row.corners[0], w00);
    add(row.corners[1], w01);
    add(row.corners[2], w10);
    add(row.corners[3], w11);
    const auto out = hn::Or(hn::BitCast(d32, hn::ShiftRight<8>(red_blue)),
                            hn::And(hn::BitCast(d32, green), odd));
    hn::StoreU(out, d32, row.mixed + i);
  }
}
#endif

}  // namespace
}  // namespace maskwatch::vision::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "vision/image/warp.h"

namespace maskwatch::vision {
namespace {

HWY_EXPORT(MixCorners);

constexpr int kPositionBits = 32;

// The positions that one output row reads, along one axis of the input: start + i * step, clamped
// to the picture.
struct Line {
  std::int64_t start, step, limit;
  std::int64_t at(int i) const { return std::clamp<std::int64_t>(start + i * step, 0, limit); }
};

// The limits keep start + i * step inside 64 bits for every row that fits into memory.
std::int64_t fixed_start(double value) {
  return std::llround(std::clamp(value, -1e8, 1e8) * 0x1p32);
}
std::int64_t fixed_step(double value) {
  return std::llround(std::clamp(value, -1e4, 1e4) * 0x1p32);
}

// The pair of neighbours whose first is `position`'s whole part; the last pixel pairs with the one
// before it.
int first_of_pair(std::int64_t position, int size) {
  return std::min(static_cast<int>(position >> kPositionBits), size - 2);
}

std::uint32_t share_of_second(std::int64_t position, int first) {
  const std::int64_t share = (position - (std::int64_t{first} << kPositionBits)) >> 16;
  return static_cast<std::uint32_t>(std::min<std::int64_t>(share, 65535));
}

// Two neighbouring pixels as words. Eight bytes are read, two more than they have, unless the
// picture ends there.
std::uint64_t load_pair(const std::uint8_t* pair, const std::uint8_t* end) {
  std::uint64_t bytes = 0;
  if (end - pair >= 8) [[likely]]
    std::memcpy(&bytes, pair, 8);
  else
    std::memcpy(&bytes, pair, 6);
  return bytes;
}

class RowBuffers {
 public:
  explicit RowBuffers(int width)
      : size_((width + 63) / 64 * 64), words_(static_cast<std::size_t>(size_) * 6) {}

  std::uint32_t* array(int i) { return words_.data() + static_cast<std::size_t>(i) * size_; }
  WarpRow row() { return {{array(0), array(1), array(2), array(3)}, array(4), array(5), size_}; }

 private:
  int size_;
  std::vector<std::uint32_t> words_;
};

// Little-endian words are assumed, as everywhere in this file.
void fetch_corners(const Image& in, Line across, Line down, int width, RowBuffers& buffers) {
  const std::uint8_t* const base = in.pixels.data();
  const std::uint8_t* const end = base + in.pixels.size();
  const std::size_t stride = static_cast<std::size_t>(in.width) * 3;
  std::uint32_t *const c0 = buffers.array(0), *const c1 = buffers.array(1),
                       *const c2 = buffers.array(2), *const c3 = buffers.array(3),
                       *const position = buffers.array(4);
  for (int i = 0; i < width; ++i) {
    const std::int64_t u = across.at(i), v = down.at(i);
    const int x = first_of_pair(u, in.width), y = first_of_pair(v, in.height);
    const std::uint8_t* const pair = base + y * stride + static_cast<std::size_t>(x) * 3;
    const std::uint64_t top = load_pair(pair, end), bottom = load_pair(pair + stride, end);
    c0[i] = static_cast<std::uint32_t>(top);
    c1[i] = static_cast<std::uint32_t>(top >> 24);
    c2[i] = static_cast<std::uint32_t>(bottom);
    c3[i] = static_cast<std::uint32_t>(bottom >> 24);
    position[i] = share_of_second(u, x) | share_of_second(v, y) << 16;
  }
}

void pack_row(const std::uint32_t* words, int width, std::uint8_t* out) {
  for (int i = 0; i + 1 < width; ++i) std::memcpy(out + 3 * i, words + i, 4);
  std::memcpy(out + 3 * (width - 1), words + width - 1, 3);
}

// Every pixel has a right and a lower neighbour afterwards.
Image at_least_two_by_two(const Image& in) {
  Image out(std::max(in.width, 2), std::max(in.height, 2));
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x)
      std::copy_n(in.at(std::min(x, in.width - 1), std::min(y, in.height - 1)), 3, out.at(x, y));
  return out;
}

}  // namespace

void warp_affine(const Image& in, const Affine& map, int width, int height, Image& out) {
  if (in.empty() || in.channels != 3 || &in == &out || width < 1 || height < 1)
    throw std::invalid_argument(fmt::format("warp_affine: from {}x{}x{} to {}x{}", in.width,
                                            in.height, in.channels, width, height));
  if (!std::isfinite(map.xx + map.xy + map.x0 + map.yx + map.yy + map.y0))
    throw std::invalid_argument("warp_affine: the map is not finite");
  if (in.width < 2 || in.height < 2)
    return warp_affine(at_least_two_by_two(in), map, width, height, out);
  out.width = width;
  out.height = height;
  out.channels = 3;
  out.pixels.resize(static_cast<std::size_t>(width) * height * 3);
  RowBuffers buffers(width);
  const WarpRow row = buffers.row();
  const auto mix = HWY_DYNAMIC_DISPATCH(MixCorners);
  const std::int64_t right = std::int64_t{in.width - 1} << kPositionBits;
  const std::int64_t bottom = std::int64_t{in.height - 1} << kPositionBits;
  for (int y = 0; y < height; ++y) {
    fetch_corners(in, {fixed_start(map.xy * y + map.x0), fixed_step(map.xx), right},
                  {fixed_start(map.yy * y + map.y0), fixed_step(map.yx), bottom}, width, buffers);
    mix(row);
    pack_row(row.mixed, width, out.row(y));
  }
}

}  // namespace maskwatch::vision

#endif
