#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optimizer.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {

using T = float;
void adam(T* parameter, T* m, T* v, const T* gradient, AdamStep step, std::int64_t count) {
  ref::table<float>().adam(parameter, m, v, gradient, step, count);
}
void sgd(T* parameter, T* velocity, const T* gradient, SgdStep step, std::int64_t count) {
  ref::table<float>().sgd(parameter, velocity, gradient, step, count);
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
