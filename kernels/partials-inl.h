// Long sums in parts: the parts are cut by shape, each is summed by one task, and they are added in
// order, so that the result does not depend on the number of threads. Included once for each
// target.
#if defined(KERNELS_PARTIALS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERNELS_PARTIALS_INL_H_
#undef KERNELS_PARTIALS_INL_H_
#else
#define KERNELS_PARTIALS_INL_H_
#endif

#include <algorithm>

#include "base/parallel.h"
#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

// to[count] (+)= Σ over parts of partials[parts, count].
inline void add_partials(float* to, const float* partials, std::int64_t parts, std::int64_t count,
                         bool accumulate) {
  constexpr std::int64_t kGrain = 1 << 14;
  parallel_for_range(count, std::max(kLanes, kGrain / parts),
                     [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                       for (std::int64_t i = begin; i < end; i += kLanes) {
                         const std::int64_t rest = std::min(kLanes, end - i);
                         Vector sum = accumulate ? load_first(to + i, rest) : hn::Zero(lanes);
                         for (std::int64_t p = 0; p < parts; ++p)
                           sum = hn::Add(sum, load_first(partials + p * count + i, rest));
                         store_first(sum, to + i, rest);
                       }
                     });
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
