// Separable triangle-filter resampling in fixed point, so that every SIMD target gives the same
// bytes. Pass 1 mixes input rows into one row of 16-bit samples (8 integer bits, 7 fraction bits);
// pass 2 mixes the samples of that row into output pixels. Weights are Q15 and sum to one.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vision/image/resize.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstring>
#include <span>

#include "vision/image/resize.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::vision::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
constexpr int kFractionBits = 7;
constexpr int kPairedLanes = 8;  // four for each of two pixels

// out[i] = sum over t of rows[t][i] * weights[t], for i < size; reads and writes nothing beyond.
void MixRows(const std::uint8_t* const* rows, const std::int16_t* weights, int taps,
             std::size_t size, std::int16_t* HWY_RESTRICT out) {
  const hn::ScalableTag<std::int16_t> d;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    auto sum = hn::Zero(d);
    for (int t = 0; t < taps; ++t) {
      const auto pixel = hn::ShiftLeft<kFractionBits>(hn::PromoteTo(d, hn::LoadU(d8, rows[t] + i)));
      sum = hn::SaturatedAdd(sum, hn::MulFixedPoint15(pixel, hn::Set(d, weights[t])));
    }
    hn::StoreU(sum, d, out + i);
  }
  for (; i < size; ++i) {
    int sum = 0;
    for (int t = 0; t < taps; ++t)
      sum += ((rows[t][i] << kFractionBits) * weights[t] + (1 << 14)) >> 15;
    out[i] = static_cast<std::int16_t>(sum < 32767 ? sum : 32767);
  }
}

// One output pixel after another, `channels` samples each; in plain loops.
template <int channels>
void MixPixels(const std::int16_t* HWY_RESTRICT in, const ResizeAxis& axis,
               std::uint8_t* HWY_RESTRICT out) {
  const int count = static_cast<int>(axis.first.size());
  for (int x = 0; x < count; ++x) {
    const std::int16_t* from = in + channels * axis.first[x];
    const std::int16_t* weights = axis.weights.data() + static_cast<std::size_t>(x) * axis.taps;
    for (int c = 0; c < channels; ++c) {
      int sum = 1 << (kFractionBits - 1);
      for (int t = 0; t < axis.taps; ++t)
        sum += (from[channels * t + c] * weights[t] + (1 << 14)) >> 15;
      sum >>= kFractionBits;
      out[channels * x + c] = static_cast<std::uint8_t>(sum < 255 ? sum : 255);
    }
  }
}

void MixPixels1(const std::int16_t* in, const ResizeAxis& axis, const std::int16_t*,
                std::uint8_t* out) {
  MixPixels<1>(in, axis, out);
}

#if HWY_TARGET == HWY_SCALAR
void MixPixels3(const std::int16_t* in, const ResizeAxis& axis, const std::int16_t*,
                std::uint8_t* out) {
  MixPixels<3>(in, axis, out);
}
#else
// Two pixels at a time, each with one sample more than it has: `in` has 1 sample and `out` 5 bytes
// to spare behind the last pixel. `weights` are those of paired_weights().
void MixPixels3(const std::int16_t* HWY_RESTRICT in, const ResizeAxis& axis,
                const std::int16_t* HWY_RESTRICT weights, std::uint8_t* HWY_RESTRICT out) {
  const hn::FixedTag<std::int16_t, 8> d;
  const hn::Half<decltype(d)> one;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const hn::Repartition<std::uint64_t, decltype(d8)> both;
  constexpr std::uint64_t kPixel = 0xffffff;
  const auto half = hn::Set(d, 1 << (kFractionBits - 1));
  const int count = static_cast<int>(axis.first.size()), taps = axis.taps;
  const int* first = axis.first.data();
  for (int x = 0; x < count; x += 2) {
    const int next = x + 1 < count ? x + 1 : x;
    const std::int16_t *from = in + 3 * first[x], *beside = in + 3 * first[next];
    auto sum = half;
    for (int t = 0; t < taps; ++t, weights += kPairedLanes)
      sum = hn::SaturatedAdd(sum, hn::MulFixedPoint15(hn::Combine(d, hn::LoadU(one, beside + 3 * t),
                                                                  hn::LoadU(one, from + 3 * t)),
                                                      hn::LoadU(d, weights)));
    const auto bytes = hn::DemoteTo(d8, hn::ShiftRight<kFractionBits>(sum));
    const std::uint64_t samples = hn::GetLane(hn::BitCast(both, bytes));
    const std::uint64_t packed = (samples & kPixel) | ((samples >> 32 & kPixel) << 24);
    std::memcpy(out + 3 * x, &packed, sizeof packed);
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
#include <stdexcept>

namespace maskwatch::vision {
namespace {

HWY_EXPORT(MixRows);
HWY_EXPORT(MixPixels1);
HWY_EXPORT(MixPixels3);

// Q15 weights that sum to 32768 exactly, or 32767 where one tap has all.
void quantise(const std::vector<double>& weights, std::int16_t* out) {
  double total = 0;
  for (double w : weights) total += w;
  int left = 32768;
  std::size_t largest = 0;
  for (std::size_t t = 0; t < weights.size(); ++t) {
    const int weight = static_cast<int>(std::lround(weights[t] / total * 32768));
    left -= weight;
    out[t] = static_cast<std::int16_t>(std::min(weight, 32767));
    if (weights[t] > weights[largest]) largest = t;
  }
  out[largest] = static_cast<std::int16_t>(std::clamp(out[largest] + left, 0, 32767));
}

// The same filter with as few taps as the widest position needs.
ResizeAxis without_idle_taps(const ResizeAxis& axis, int in_size) {
  const auto weights_of = [&](std::size_t i) {
    return std::span(axis.weights).subspan(i * axis.taps, axis.taps);
  };
  const auto is_used = [](std::int16_t weight) { return weight != 0; };
  ResizeAxis shorter{0, axis.first, {}};
  std::vector<int> idle;  // taps before the first that is used
  for (std::size_t i = 0; i < axis.first.size(); ++i) {
    const auto weights = weights_of(i);
    const auto first = std::find_if(weights.begin(), weights.end(), is_used);
    const auto end = std::find_if(weights.rbegin(), weights.rend(), is_used).base();
    idle.push_back(static_cast<int>(first - weights.begin()));
    shorter.taps = std::max(shorter.taps, static_cast<int>(end - first));
  }
  shorter.weights.assign(axis.first.size() * shorter.taps, 0);
  for (std::size_t i = 0; i < axis.first.size(); ++i) {
    const auto weights = weights_of(i);
    shorter.first[i] = std::min(axis.first[i] + idle[i], in_size - shorter.taps);
    for (int t = 0; t < axis.taps; ++t)
      if (is_used(weights[t]))
        shorter.weights[i * shorter.taps + (axis.first[i] + t - shorter.first[i])] = weights[t];
  }
  return shorter;
}

}  // namespace

ResizeAxis make_resize_axis(int in_size, int out_size) {
  const double scale = static_cast<double>(in_size) / out_size;
  const double support = std::max(scale, 1.0);
  ResizeAxis axis;
  axis.taps = std::min(static_cast<int>(std::ceil(support)) * 2 + 1, in_size);
  axis.first.resize(out_size);
  axis.weights.assign(static_cast<std::size_t>(out_size) * axis.taps, 0);
  std::vector<double> weights(axis.taps);
  for (int i = 0; i < out_size; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::clamp(static_cast<int>(centre - support + 0.5), 0, in_size - axis.taps);
    axis.first[i] = first;
    for (int t = 0; t < axis.taps; ++t)
      weights[t] = std::max(0.0, 1.0 - std::abs(first + t + 0.5 - centre) / support);
    quantise(weights, &axis.weights[static_cast<std::size_t>(i) * axis.taps]);
  }
  return without_idle_taps(axis, in_size);
}

namespace {

// [pairs of output positions][taps][2][4]: the weights of both, each four times.
std::vector<std::int16_t> paired_weights(const ResizeAxis& axis) {
  std::vector<std::int16_t> paired;
  for (std::size_t x = 0; x < axis.first.size(); x += 2)
    for (int t = 0; t < axis.taps; ++t)
      for (const std::size_t i : {x, std::min(x + 1, axis.first.size() - 1)})
        paired.insert(paired.end(), 4, axis.weights[i * axis.taps + t]);
  return paired;
}

void resize_part(const ImageView& image, const PixelBox& part, int width, int height, Image& out) {
  if (width <= 0 || height <= 0)
    throw std::invalid_argument(
        fmt::format("resize: from {}x{} to {}x{}", image.width, image.height, width, height));
  const int channels = image.channels;
  const ResizeAxis across = make_resize_axis(part.width, width);
  const ResizeAxis down = make_resize_axis(part.height, height);
  out.width = width;
  out.height = height;
  out.channels = channels;
  const std::size_t row_size = static_cast<std::size_t>(width) * channels;
  out.pixels.resize(row_size * height);
  const std::size_t mixed_size = static_cast<std::size_t>(part.width) * channels;
  std::vector<std::int16_t> mixed(mixed_size + 1);
  std::vector<std::uint8_t> row(row_size + 5);
  std::vector<const std::uint8_t*> rows(down.taps);
  const auto paired = channels == 3 ? paired_weights(across) : std::vector<std::int16_t>();
  const auto mix_rows = HWY_DYNAMIC_DISPATCH(MixRows);
  const auto mix_pixels =
      channels == 3 ? HWY_DYNAMIC_DISPATCH(MixPixels3) : HWY_DYNAMIC_DISPATCH(MixPixels1);
  for (int y = 0; y < height; ++y) {
    for (int t = 0; t < down.taps; ++t) rows[t] = image.at(part.x, part.y + down.first[y] + t);
    mix_rows(rows.data(), &down.weights[static_cast<std::size_t>(y) * down.taps], down.taps,
             mixed_size, mixed.data());
    mix_pixels(mixed.data(), across, paired.data(), row.data());
    std::copy_n(row.data(), row_size, out.row(y));
  }
}

}  // namespace

void resize(const ImageView& image, int width, int height, Image& out) {
  if (image.empty() || image.pixels == out.pixels.data())
    throw std::invalid_argument("resize: the picture is empty, or also the output");
  resize_part(image, {0, 0, image.width, image.height}, width, height, out);
}

Image resize(const ImageView& image, int width, int height) {
  Image out;
  resize(image, width, height, out);
  return out;
}

Image crop_and_resize(const ImageView& image, const Box& box, int width, int height) {
  Image out;
  resize_part(image, clamp_box(image, box), width, height, out);
  return out;
}

}  // namespace maskwatch::vision

#endif
