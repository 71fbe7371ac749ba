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

#include "vision/haar/haar_strip.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::vision {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF = hn::Vec<F32>;

// Bit i: lane i.
template <class DF>
HWY_INLINE std::uint64_t to_bits(DF d, hn::Mask<DF> mask) {
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(d, mask, bytes);
  std::uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits |= std::uint64_t{bytes[i]} << (8 * i);
  return bits;
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

// From here on functions take the tag of a vector of floats: full ones, or shorter where few
// windows are left, which cost less to load.

// A feature that keeps to no known pattern, window by window.
template <class DF>
HWY_NOINLINE hn::Vec<DF> any_feature_value(DF f, const HaarProbe& probe,
                                           const std::int32_t* windows) {
  HWY_ALIGN float values[hn::MaxLanes(DF())];
  for (std::size_t i = 0; i < hn::Lanes(f); ++i) values[i] = haar_feature_value(probe, windows + i);
  return hn::Load(f, values);
}

template <HaarPattern kPattern, class DF>
HWY_INLINE hn::Vec<DF> feature_value(DF f, const HaarProbe& probe, const std::int32_t* windows) {
  if constexpr (kPattern == HaarPattern::kRects) return any_feature_value(f, probe, windows);
  const hn::RebindToSigned<DF> d;
  using V = hn::Vec<decltype(d)>;
  const auto at = [&](int i) HWY_ATTR { return hn::LoadU(d, windows + probe.corner[i]); };
  const V scale = hn::Set(d, probe.scale);
  if constexpr (kPattern == HaarPattern::kNine) {
    const V ones = hn::Add(hn::Add(at(0), at(1)), hn::Add(at(2), at(3)));
    const V twos = hn::Add(hn::Add(at(4), at(5)), hn::Add(at(6), at(7)));
    const V less = hn::Sub(twos, hn::Add(at(8), at(8)));
    return hn::ConvertTo(f, hn::Mul(scale, hn::Sub(ones, hn::Add(less, less))));
  }
  const V ones = hn::Sub(hn::Add(at(0), at(1)), hn::Add(at(2), at(3)));
  const V more = kPattern == HaarPattern::kSix
                     ? hn::Sub(at(4), at(5))
                     : hn::Sub(hn::Add(at(4), at(5)), hn::Add(at(6), at(7)));
  return hn::ConvertTo(f, hn::Add(ones, hn::Mul(scale, more)));
}

template <class DF>
HWY_INLINE hn::Vec<DF> any_pattern_value(DF f, const HaarProbe& probe,
                                         const std::int32_t* windows) {
  switch (probe.pattern) {
    case HaarPattern::kSix:
      return feature_value<HaarPattern::kSix>(f, probe, windows);
    case HaarPattern::kEight:
      return feature_value<HaarPattern::kEight>(f, probe, windows);
    case HaarPattern::kNine:
      return feature_value<HaarPattern::kNine>(f, probe, windows);
    default:
      return feature_value<HaarPattern::kRects>(f, probe, windows);
  }
}

// Adds to `sum` the leaves of the stumps of one pattern.
template <HaarPattern kPattern, class DF, class V = hn::Vec<DF>>
HWY_INLINE void add_stumps(DF f, const HaarStagePlan& stage, const std::int32_t* windows, V inverse,
                           V& sum) {
  constexpr int kNumber = static_cast<int>(kPattern);
  const HaarProbe* probe =
      stage.probes.data() + (kNumber == 0 ? 0 : stage.pattern_end[kNumber - 1]);
  const HaarProbe* end = stage.probes.data() + stage.pattern_end[kNumber];
  for (; probe != end; ++probe) {
    const V value = hn::Mul(feature_value<kPattern>(f, *probe, windows), inverse);
    const auto left = hn::Lt(value, hn::Set(f, probe->threshold));
    sum = hn::Add(
        sum, hn::IfThenElse(left, hn::Set(f, probe->left_leaf), hn::Set(f, probe->right_leaf)));
  }
}

template <class DF, class V = hn::Vec<DF>>
HWY_INLINE V sum_stumps(DF f, const HaarStagePlan& stage, const std::int32_t* windows, V inverse) {
  V sum = hn::Zero(f);
  add_stumps<HaarPattern::kSix>(f, stage, windows, inverse, sum);
  add_stumps<HaarPattern::kEight>(f, stage, windows, inverse, sum);
  add_stumps<HaarPattern::kNine>(f, stage, windows, inverse, sum);
  add_stumps<HaarPattern::kRects>(f, stage, windows, inverse, sum);
  return sum;
}

// The value that each node would yield, the last node first: children come after their parents.
template <class DF, class V = hn::Vec<DF>>
HWY_INLINE V tree_value(DF f, const HaarProbe* tree, int nodes, const std::int32_t* windows,
                        V inverse, float* HWY_RESTRICT values) {
  const std::size_t lanes = hn::Lanes(f);
  const auto child = [&](std::int32_t number, float leaf) HWY_ATTR {
    return number > 0 ? hn::Load(f, values + number * lanes) : hn::Set(f, leaf);
  };
  V value = hn::Zero(f);
  for (int n = nodes - 1; n >= 0; --n) {
    const HaarProbe& probe = tree[n];
    const V left = child(probe.left, probe.left_leaf), right = child(probe.right, probe.right_leaf);
    const V normal = hn::Mul(any_pattern_value(f, probe, windows), inverse);
    value = hn::IfThenElse(hn::Lt(normal, hn::Set(f, probe.threshold)), left, right);
    hn::Store(value, f, values + n * lanes);
  }
  return value;
}

template <class DF, class V = hn::Vec<DF>>
HWY_INLINE V sum_trees(DF f, const HaarStagePlan& stage, const std::int32_t* windows, V inverse,
                       float* values) {
  V sum = hn::Zero(f);
  const HaarProbe* tree = stage.probes.data();
  for (const int nodes : stage.tree_sizes) {
    sum = hn::Add(sum, tree_value(f, tree, nodes, windows, inverse, values));
    tree += nodes;
  }
  return sum;
}

// Decides in double the windows whose float sum is too near the threshold.
HWY_NOINLINE std::uint64_t decide_exactly(const HaarStagePlan& stage, const std::int32_t* windows,
                                          const float* inverses, std::uint64_t doubtful) {
  std::uint64_t passed = 0;
  for (; doubtful != 0; doubtful &= doubtful - 1) {
    const int i = std::countr_zero(doubtful);
    const double sum = haar_stage_sum(stage, windows + i, inverses[i]);
    if (!(sum < double{stage.threshold})) passed |= std::uint64_t{1} << i;
  }
  return passed;
}

// A vector of neighbouring windows; `values` is room for the nodes of a tree.
struct Block {
  const std::int32_t* windows;
  const float* inverses;
  float* values;
};

// Those of `active` windows that pass a stage.
template <class DF>
HWY_INLINE std::uint64_t pass_stage(DF f, const HaarStagePlan& stage, const Block& block,
                                    std::uint64_t active) {
  const auto inverse = hn::LoadU(f, block.inverses);
  const auto sum = stage.tree_sizes.empty()
                       ? sum_stumps(f, stage, block.windows, inverse)
                       : sum_trees(f, stage, block.windows, inverse, block.values);
  const std::uint64_t surely = active & to_bits(f, hn::Ge(sum, hn::Set(f, stage.surely)));
  const std::uint64_t perhaps = active & to_bits(f, hn::Ge(sum, hn::Set(f, stage.perhaps)));
  if (HWY_LIKELY(surely == perhaps)) return surely;
  return surely | decide_exactly(stage, block.windows, block.inverses, perhaps & ~surely);
}

// The same with a vector no longer than the windows that are left need: short loads seldom cross a
// line of the cache, and more of them start in one cycle.
HWY_INLINE std::uint64_t pass_stage_narrowly(const HaarStagePlan& stage, const Block& block,
                                             std::uint64_t active) {
  const int first = std::countr_zero(active);
  const std::uint64_t rest = active >> first;
  const Block from_first{block.windows + first, block.inverses + first, block.values};
  if (rest < 1u << 4) {
    return pass_stage(hn::CappedTag<float, 4>(), stage, from_first, rest) << first;
  }
  if (rest < 1u << 8) {
    return pass_stage(hn::CappedTag<float, 8>(), stage, from_first, rest) << first;
  }
  return pass_stage(F32(), stage, block, active);
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
  HWY_ALIGN float inverses[2 * hn::MaxLanes(F32()) + 8] = {};
  SkipRule rule;
  for (int w = 0; w < level.windows_per_row; w += lanes) {
    const VF inverse = inverse_deviation(plan, sums + w, squares + w);
    hn::Store(inverse, f, inverses);
    const int rest = level.windows_per_row - w;
    const std::uint64_t here = rest < lanes ? (std::uint64_t{1} << rest) - 1 : all;
    const std::uint64_t textured = here & to_bits(f, hn::Lt(inverse, limit));
    const Block block{sums + w, inverses, values};
    std::uint64_t active = pass_stage(f, plan.stages[0], block, textured);
    active = rule.next(textured & ~active, active, lanes);
    for (std::size_t s = 1; active != 0 && s < plan.stages.size(); ++s) {
      active = pass_stage_narrowly(plan.stages[s], block, active);
    }
    for (; active != 0; active &= active - 1) {
      hits.push_back({(w + std::countr_zero(active)) * level.layout->step, y});
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace maskwatch::vision
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
