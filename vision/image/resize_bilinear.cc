// In whole numbers, so that every vector target gives the same bytes: two input rows are mixed into
// one of 11 fraction bits, then its neighbours into output pixels.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vision/image/resize_bilinear.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>

// Where an output position lies on the input axis: between `first` and `second`, `weight` / kOne of
// the way.
#ifndef VISION_RESIZE_BILINEAR_SAMPLE
#define VISION_RESIZE_BILINEAR_SAMPLE
namespace maskwatch::vision {
constexpr int kFractionBits = 11;
constexpr int kOne = 1 << kFractionBits;
struct Sample {
  int first, second, weight;
};
}  // namespace maskwatch::vision
#endif

HWY_BEFORE_NAMESPACE();
namespace maskwatch::vision::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// out[i] = above[i] (kOne - weight) + below[i] weight, for i < size; nothing beyond is touched.
void MixTwoRows(const std::uint8_t* HWY_RESTRICT above, const std::uint8_t* HWY_RESTRICT below,
                std::int32_t weight, std::size_t size, std::int32_t* HWY_RESTRICT out) {
  const hn::ScalableTag<std::int32_t> d;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const std::size_t lanes = hn::Lanes(d);
  const auto w = hn::Set(d, weight);
  std::size_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto a = hn::PromoteTo(d, hn::LoadU(d8, above + i));
    const auto b = hn::PromoteTo(d, hn::LoadU(d8, below + i));
    hn::StoreU(hn::Add(hn::ShiftLeft<kFractionBits>(a), hn::Mul(hn::Sub(b, a), w)), d, out + i);
  }
  for (; i < size; ++i) out[i] = above[i] * kOne + (below[i] - above[i]) * weight;
}

// Sums stay below 2^31: 255 kOne² and half of kOne².
template <int channels>
void MixNeighbours(const std::int32_t* HWY_RESTRICT in, const Sample* columns, int count,
                   std::uint8_t* HWY_RESTRICT out) {
  for (int x = 0; x < count; ++x) {
    const std::int32_t* left = in + columns[x].first * channels;
    const std::int32_t* right = in + columns[x].second * channels;
    for (int c = 0; c < channels; ++c) {
      const std::int32_t sum = left[c] * kOne + (right[c] - left[c]) * columns[x].weight;
      *out++ = static_cast<std::uint8_t>((sum + kOne * kOne / 2) >> (2 * kFractionBits));
    }
  }
}

void MixNeighbours1(const std::int32_t* in, const Sample* columns, int count, std::uint8_t* out) {
  MixNeighbours<1>(in, columns, count, out);
}

#if HWY_TARGET == HWY_SCALAR
void MixNeighbours3(const std::int32_t* in, const Sample* columns, int count, std::uint8_t* out) {
  MixNeighbours<3>(in, columns, count, out);
}
#else
// A pixel's samples and one more are read and written at a time: `in` has one number and `out` one
// byte to spare behind the last pixel.
void MixNeighbours3(const std::int32_t* HWY_RESTRICT in, const Sample* columns, int count,
                    std::uint8_t* HWY_RESTRICT out) {
  const hn::FixedTag<std::int32_t, 4> d;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const auto half = hn::Set(d, kOne * kOne / 2);
  for (int x = 0; x < count; ++x) {
    const auto left = hn::LoadU(d, in + columns[x].first * 3);
    const auto right = hn::LoadU(d, in + columns[x].second * 3);
    const auto part = hn::Mul(hn::Sub(right, left), hn::Set(d, columns[x].weight));
    const auto sum = hn::Add(hn::Add(hn::ShiftLeft<kFractionBits>(left), half), part);
    hn::StoreU(hn::DemoteTo(d8, hn::ShiftRight<2 * kFractionBits>(sum)), d8, out + 3 * x);
  }
}
#endif

}  // namespace
}  // namespace maskwatch::vision::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "vision/image/resize_bilinear.h"

namespace maskwatch::vision {
namespace {

HWY_EXPORT(MixTwoRows);
HWY_EXPORT(MixNeighbours1);
HWY_EXPORT(MixNeighbours3);

std::vector<Sample> sample_axis(int in, int out) {
  std::vector<Sample> samples;
  const double step = static_cast<double>(in) / out;
  for (int i = 0; i < out; ++i) {
    const double position = std::clamp((i + 0.5) * step - 0.5, 0.0, in - 1.0);
    const int first = static_cast<int>(position);
    const int weight = static_cast<int>(std::lround((position - first) * kOne));
    samples.push_back({first, std::min(first + 1, in - 1), weight});
  }
  return samples;
}

}  // namespace

Image resize_bilinear(const ImageView& image, int width, int height) {
  if (image.empty() || width < 1 || height < 1)
    throw std::invalid_argument("resize_bilinear: an empty picture");
  const std::vector<Sample> columns = sample_axis(image.width, width);
  const std::vector<Sample> rows = sample_axis(image.height, height);
  const std::size_t in_size = static_cast<std::size_t>(image.width) * image.channels;
  const std::size_t out_size = static_cast<std::size_t>(width) * image.channels;
  Image out(width, height, image.channels);
  std::vector<std::int32_t> mixed(in_size + 1);
  std::vector<std::uint8_t> line(out_size + 1);
  const auto mix_rows = HWY_DYNAMIC_DISPATCH(MixTwoRows);
  const auto mix_neighbours = image.channels == 3 ? HWY_DYNAMIC_DISPATCH(MixNeighbours3)
                                                  : HWY_DYNAMIC_DISPATCH(MixNeighbours1);
  for (int y = 0; y < height; ++y) {
    const Sample& row = rows[static_cast<std::size_t>(y)];
    mix_rows(image.row(row.first), image.row(row.second), row.weight, in_size, mixed.data());
    mix_neighbours(mixed.data(), columns.data(), width, line.data());
    std::copy_n(line.data(), out_size, out.row(y));
  }
  return out;
}

}  // namespace maskwatch::vision

#endif
