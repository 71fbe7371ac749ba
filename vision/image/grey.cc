#include "vision/image/grey.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vision/image/grey.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace maskwatch::vision {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Shares of the colours, in units of 2^-kBits.
constexpr int kBits = 15, kHalf = 1 << (kBits - 1);
constexpr int kRed = 9798, kGreen = 19235, kBlue = 3735;

void RgbToGrey(const std::uint8_t* HWY_RESTRICT rgb, std::size_t count,
               std::uint8_t* HWY_RESTRICT grey) {
  const hn::ScalableTag<std::int32_t> d;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  std::size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    hn::Vec<decltype(d8)> r, g, b;
    hn::LoadInterleaved3(d8, rgb + 3 * i, r, g, b);
    auto sum = hn::Mul(hn::PromoteTo(d, r), hn::Set(d, kRed));
    sum = hn::Add(sum, hn::Mul(hn::PromoteTo(d, g), hn::Set(d, kGreen)));
    sum = hn::Add(sum, hn::Mul(hn::PromoteTo(d, b), hn::Set(d, kBlue)));
    hn::StoreU(hn::DemoteTo(d8, hn::ShiftRight<kBits>(hn::Add(sum, hn::Set(d, kHalf)))), d8,
               grey + i);
  }
  for (; i < count; ++i) {
    const std::uint8_t* p = rgb + 3 * i;
    grey[i] =
        static_cast<std::uint8_t>((p[0] * kRed + p[1] * kGreen + p[2] * kBlue + kHalf) >> kBits);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace maskwatch::vision
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskwatch::vision {

HWY_EXPORT(RgbToGrey);

void rgb_to_grey(const std::uint8_t* rgb, std::size_t count, std::uint8_t* grey) {
  HWY_DYNAMIC_DISPATCH(RgbToGrey)(rgb, count, grey);
}

}  // namespace maskwatch::vision
#endif
