// The classifier over a vector of neighbouring windows, once for each SIMD target.
// Windows that are neighbours in the search are neighbours in memory (HaarLayout), so every corner
// is one plain load. A vector is judged until its last window fails: that costs less than gathering
// the few windows that pass the early stages.

#if defined(VISION_HAAR_EVALUATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VISION_HAAR_EVALUATE_INL_H_
#undef VISION_HAAR_EVALUATE_INL_H_
#else
#define VISION_HAAR_EVALUATE_INL_H_
#endif

#include <hwy/highway.h>

#include <bit>

#include "vision/haar_strip.h"

HWY_BEFORE_NAMESPACE();
namespace vision {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF = hn::Vec<F32>;
using MF = hn::Mask<F32>;

// Bit i: lane i.
HWY_INLINE std::uint64_t to_bits(F32 d, MF mask) {
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(d, mask, bytes);
  std::uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits |= std::uint64_t{bytes[i]} << (8 * i);
  return bits;
}

HWY_INLINE MF from_bits(F32 d, std::uint64_t bits) {
  std::uint8_t bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(bits >> (8 * i));
  return hn::LoadMaskBits(d, bytes);
}

// 1 / (area x standard deviation) of half a vector of windows, in double as OpenCV computes it; 1
// where the window is flat.
template <class VHalf>
HWY_INLINE auto inverse_deviation_half(double norm_area, VHalf sum, VHalf squares) {
  const hn::DFromV<VHalf> half;
  const hn::Rebind<double, decltype(half)> d64;
  const hn::Rebind<float, decltype(half)> f32;
  const auto mean = hn::PromoteTo(d64, sum);
  const auto spread =
      hn::Sub(hn::Mul(hn::Set(d64, norm_area), hn::PromoteTo(d64, squares)), hn::Mul(mean, mean));
  const auto one = hn::Set(d64, 1.0);
  const auto inverse = hn::Div(one, hn::Sqrt(spread));
  return hn::DemoteTo(f32, hn::IfThenElse(hn::Gt(spread, hn::Zero(d64)), inverse, one));
}

HWY_INLINE VF inverse_deviation(const HaarPlan& plan, const std::int32_t* sums,
                                const std::int32_t* squares) {
  const I32 d;
  const F32 f;
  const hn::Half<I32> half;
  const auto box = [&](const std::int32_t* at) HWY_ATTR {
    const std::int32_t* o = plan.norm_corner;
    return hn::Sub(hn::Add(hn::LoadU(d, at + o[0]), hn::LoadU(d, at + o[3])),
                   hn::Add(hn::LoadU(d, at + o[1]), hn::LoadU(d, at + o[2])));
  };
  const VI sum = box(sums);
  const VI square = box(squares);
  const auto low =
      inverse_deviation_half(plan.norm_area, hn::LowerHalf(half, sum), hn::LowerHalf(half, square));
  const auto high =
      inverse_deviation_half(plan.norm_area, hn::UpperHalf(half, sum), hn::UpperHalf(half, square));
  return hn::Combine(f, high, low);
}

// A feature that keeps to no known pattern, window by window.
HWY_NOINLINE VF any_feature_value(const HaarProbe& probe, const std::int32_t* windows) {
  const F32 f;
  HWY_ALIGN float values[hn::MaxLanes(F32())];
  for (std::size_t i = 0; i < hn::Lanes(f); ++i) values[i] = haar_feature_value(probe, windows + i);
  return hn::Load(f, values);
}

template <HaarPattern kPattern>
HWY_INLINE VF feature_value(const HaarProbe& probe, const std::int32_t* windows) {
  const I32 d;
  const F32 f;
  if constexpr (kPattern == HaarPattern::kRects) return any_feature_value(probe, windows);
  const auto at = [&](int i) HWY_ATTR { return hn::LoadU(d, windows + probe.corner[i]); };
  const VI scale = hn::Set(d, probe.scale);
  if constexpr (kPattern == HaarPattern::kNine) {
    const VI ones = hn::Add(hn::Add(at(0), at(1)), hn::Add(at(2), at(3)));
    const VI twos = hn::Add(hn::Add(at(4), at(5)), hn::Add(at(6), at(7)));
    const VI less = hn::Sub(twos, hn::Add(at(8), at(8)));
    return hn::ConvertTo(f, hn::Mul(scale, hn::Sub(ones, hn::Add(less, less))));
  }
  const VI ones = hn::Sub(hn::Add(at(0), at(1)), hn::Add(at(2), at(3)));
  const VI more = kPattern == HaarPattern::kSix
                      ? hn::Sub(at(4), at(5))
                      : hn::Sub(hn::Add(at(4), at(5)), hn::Add(at(6), at(7)));
  return hn::ConvertTo(f, hn::Add(ones, hn::Mul(scale, more)));
}

HWY_INLINE VF feature_value(const HaarProbe& probe, const std::int32_t* windows) {
  switch (probe.pattern) {
    case HaarPattern::kSix:
      return feature_value<HaarPattern::kSix>(probe, windows);
    case HaarPattern::kEight:
      return feature_value<HaarPattern::kEight>(probe, windows);
    case HaarPattern::kNine:
      return feature_value<HaarPattern::kNine>(probe, windows);
    default:
      return feature_value<HaarPattern::kRects>(probe, windows);
  }
}

// Adds to `sum` the leaves of the stumps of one pattern.
template <HaarPattern kPattern>
HWY_INLINE void add_stumps(const HaarStagePlan& stage, const std::int32_t* windows, VF inverse,
                           VF& sum) {
  const F32 f;
  constexpr int kNumber = static_cast<int>(kPattern);
  const HaarProbe* probe =
      stage.probes.data() + (kNumber == 0 ? 0 : stage.pattern_end[kNumber - 1]);
  const HaarProbe* end = stage.probes.data() + stage.pattern_end[kNumber];
  for (; probe != end; ++probe) {
    const VF value = hn::Mul(feature_value<kPattern>(*probe, windows), inverse);
    const MF left = hn::Lt(value, hn::Set(f, probe->threshold));
    sum = hn::Add(
        sum, hn::IfThenElse(left, hn::Set(f, probe->left_leaf), hn::Set(f, probe->right_leaf)));
  }
}

HWY_INLINE VF sum_stumps(const HaarStagePlan& stage, const std::int32_t* windows, VF inverse) {
  VF sum = hn::Zero(F32());
  add_stumps<HaarPattern::kSix>(stage, windows, inverse, sum);
  add_stumps<HaarPattern::kEight>(stage, windows, inverse, sum);
  add_stumps<HaarPattern::kNine>(stage, windows, inverse, sum);
  add_stumps<HaarPattern::kRects>(stage, windows, inverse, sum);
  return sum;
}

// The value that each node would yield, the last node first: children come after their parents.
HWY_INLINE VF tree_value(const HaarProbe* tree, int nodes, const std::int32_t* windows, VF inverse,
                         float* HWY_RESTRICT values) {
  const F32 f;
  const std::size_t lanes = hn::Lanes(f);
  VF value = hn::Zero(f);
  for (int n = nodes - 1; n >= 0; --n) {
    const HaarProbe& probe = tree[n];
    const VF left =
        probe.left > 0 ? hn::Load(f, values + probe.left * lanes) : hn::Set(f, probe.left_leaf);
    const VF right =
        probe.right > 0 ? hn::Load(f, values + probe.right * lanes) : hn::Set(f, probe.right_leaf);
    const VF normal = hn::Mul(feature_value(probe, windows), inverse);
    value = hn::IfThenElse(hn::Lt(normal, hn::Set(f, probe.threshold)), left, right);
    hn::Store(value, f, values + n * lanes);
  }
  return value;
}

HWY_INLINE VF sum_trees(const HaarStagePlan& stage, const std::int32_t* windows, VF inverse,
                        float* values) {
  VF sum = hn::Zero(F32());
  const HaarProbe* tree = stage.probes.data();
  for (const int nodes : stage.tree_sizes) {
    sum = hn::Add(sum, tree_value(tree, nodes, windows, inverse, values));
    tree += nodes;
  }
  return sum;
}

// Decides in double the windows whose float sum is too near the threshold.
HWY_NOINLINE std::uint64_t decide_exactly(const HaarStagePlan& stage, const std::int32_t* windows,
                                          VF inverse, std::uint64_t doubtful) {
  const F32 f;
  HWY_ALIGN float inverses[hn::MaxLanes(F32())];
  hn::Store(inverse, f, inverses);
  std::uint64_t passed = 0;
  for (; doubtful != 0; doubtful &= doubtful - 1) {
    const int i = std::countr_zero(doubtful);
    const double sum = haar_stage_sum(stage, windows + i, inverses[i]);
    if (!(sum < double{stage.threshold})) passed |= std::uint64_t{1} << i;
  }
  return passed;
}

// Those of `active` windows that pass a stage.
HWY_INLINE std::uint64_t pass_stage(const HaarStagePlan& stage, const std::int32_t* windows,
                                    VF inverse, std::uint64_t active, float* values) {
  const F32 f;
  const VF sum = stage.tree_sizes.empty() ? sum_stumps(stage, windows, inverse)
                                          : sum_trees(stage, windows, inverse, values);
  const std::uint64_t surely = active & to_bits(f, hn::Ge(sum, hn::Set(f, stage.surely)));
  const std::uint64_t perhaps = active & to_bits(f, hn::Ge(sum, hn::Set(f, stage.perhaps)));
  if (HWY_LIKELY(surely == perhaps)) return surely;
  return surely | decide_exactly(stage, windows, inverse, perhaps & ~surely);
}

// OpenCV passes over the window after one that the first stage rejects. In a run of rejected
// windows every second one is passed over, so a window is looked at where the run before it has
// even length.
class SkipRule {
 public:
  // `rejected` by the first stage; returns those of `passed` that are looked at.
  std::uint64_t next(std::uint64_t rejected, std::uint64_t passed, int lanes) {
    std::uint64_t seen = 0;
    for (std::uint64_t left = passed; left != 0; left &= left - 1) {
      const int i = std::countr_zero(left);
      int run = i == 0 ? 0 : std::countl_one(rejected << (64 - i));
      if (run == i) run += run_;
      if (run % 2 == 0) seen |= std::uint64_t{1} << i;
    }
    const int tail = std::countl_one(rejected << (64 - lanes));
    run_ = tail >= lanes ? run_ + lanes : tail;
    return seen;
  }

 private:
  int run_ = 0;
};

// The windows of one row that pass every stage, as hits at row y.
HWY_INLINE void search_row(const HaarLevel& level, const std::int32_t* sums,
                           const std::int32_t* squares, int y, float* values,
                           std::vector<HaarHit>& hits) {
  const F32 f;
  const HaarPlan& plan = level.layout->plan;
  const int lanes = static_cast<int>(hn::Lanes(f));
  const std::uint64_t all = lanes == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << lanes) - 1;
  const VF limit = hn::Set(f, plan.norm_limit);
  SkipRule rule;
  for (int w = 0; w < level.windows_per_row; w += lanes) {
    const VF inverse = inverse_deviation(plan, sums + w, squares + w);
    const int rest = level.windows_per_row - w;
    const std::uint64_t here = rest < lanes ? (std::uint64_t{1} << rest) - 1 : all;
    const std::uint64_t textured = here & to_bits(f, hn::Lt(inverse, limit));
    std::uint64_t active = pass_stage(plan.stages[0], sums + w, inverse, textured, values);
    active = rule.next(textured & ~active, active, lanes);
    for (std::size_t s = 1; active != 0 && s < plan.stages.size(); ++s) {
      active = pass_stage(plan.stages[s], sums + w, inverse, active, values);
    }
    for (; active != 0; active &= active - 1) {
      hits.push_back({(w + std::countr_zero(active)) * level.layout->step, y});
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace vision
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
