// Vectors of float for the kernels of matrix products and convolutions: tag, lane count, loads and
// stores of less than a vector that never touch memory beyond it. Included once for each target.
#if defined(KERNELS_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERNELS_VECTORS_INL_H_
#undef KERNELS_VECTORS_INL_H_
#else
#define KERNELS_VECTORS_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstdint>
#include <limits>

#include "kernels/bounds-inl.h"
#include "kernels/shapes.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes = hn::CappedTag<float, 16>;
using Vector = hn::Vec<Lanes>;

constexpr Lanes lanes;
constexpr std::int64_t kLanes = hn::MaxLanes(lanes);

#undef KERNELS_MASKED_MEMORY
// Whether masked loads and stores leave the memory behind unset lanes alone.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
#define KERNELS_MASKED_MEMORY 1
#else
#define KERNELS_MASKED_MEMORY 0
#endif

// Loads and stores of the first `count` lanes, 0 < count <= kLanes, for several vectors: one mask
// serves all. What is loaded ends in zeros.
struct FirstLanes {
#if KERNELS_MASKED_MEMORY
  hn::Mask<Lanes> mask;

  HWY_INLINE explicit FirstLanes(std::int64_t count)
      : mask(hn::FirstN(lanes, static_cast<size_t>(count))) {}
  HWY_INLINE Vector load(const float* HWY_RESTRICT from) const {
    return hn::MaskedLoad(mask, lanes, from);
  }
  HWY_INLINE void store(Vector v, float* HWY_RESTRICT to) const {
    hn::BlendedStore(v, mask, lanes, to);
  }
#else
  std::int64_t count;

  HWY_INLINE explicit FirstLanes(std::int64_t lane_count) : count(lane_count) {}
  HWY_INLINE Vector load(const float* HWY_RESTRICT from) const {
    HWY_ALIGN float copy[kLanes] = {};
    for (std::int64_t i = 0; i < count; ++i) copy[i] = from[i];
    return hn::Load(lanes, copy);
  }
  HWY_INLINE void store(Vector v, float* HWY_RESTRICT to) const {
    HWY_ALIGN float copy[kLanes];
    hn::Store(v, lanes, copy);
    for (std::int64_t i = 0; i < count; ++i) to[i] = copy[i];
  }
#endif
};

// from[0 .. count) and zeros; 0 < count <= kLanes.
HWY_INLINE Vector load_first(const float* HWY_RESTRICT from, std::int64_t count) {
  return FirstLanes(count).load(from);
}

HWY_INLINE void store_first(Vector v, float* HWY_RESTRICT to, std::int64_t count) {
  FirstLanes(count).store(v, to);
}

// The same with a count known to be kLanes at compile time where kWhole.
template <bool kWhole>
HWY_INLINE Vector load_part(const float* HWY_RESTRICT from, std::int64_t count) {
  if constexpr (kWhole) return hn::LoadU(lanes, from);
  return load_first(from, count);
}

template <bool kWhole>
HWY_INLINE void store_part(Vector v, float* HWY_RESTRICT to, std::int64_t count) {
  if constexpr (kWhole)
    hn::StoreU(v, lanes, to);
  else
    store_first(v, to, count);
}

// The bounds between which an activation clamps.
struct Clamp {
  Vector low, high;
};

HWY_INLINE Clamp clamp_of(Activation activation) {
  const float infinity = std::numeric_limits<float>::infinity();
  return {hn::Set(lanes, activation == Activation::none ? -infinity : 0.0f),
          hn::Set(lanes, activation == Activation::relu6 ? 6.0f : infinity)};
}

HWY_INLINE Vector clamp(Vector v, const Clamp& c) { return at_most(c.high, at_least(c.low, v)); }

HWY_INLINE std::int64_t divide_up(std::int64_t count, std::int64_t by) {
  return (count + by - 1) / by;
}

struct Range {
  std::int64_t begin, end;
};

// Part `index` of `count` things that are dealt to `parts` parts as evenly as can be.
HWY_INLINE Range part(std::int64_t count, std::int64_t parts, std::int64_t index) {
  return {count * index / parts, count * (index + 1) / parts};
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
