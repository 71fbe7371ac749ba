// The larger and the smaller of a bound and a value, where NaN stays NaN.
// Included once for each target.
#if defined(KERNELS_BOUNDS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERNELS_BOUNDS_INL_H_
#undef KERNELS_BOUNDS_INL_H_
#else
#define KERNELS_BOUNDS_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

// x86 gives its second operand where one is a NaN. Highway takes NEON's instructions that give the
// number, where these give the NaN.
#if HWY_ARCH_ARM_A64
template <class Floats>
HWY_INLINE Floats at_least(Floats bound, Floats v) {
  return Floats(vmaxq_f32(bound.raw, v.raw));
}
template <class Floats>
HWY_INLINE Floats at_most(Floats bound, Floats v) {
  return Floats(vminq_f32(bound.raw, v.raw));
}
#else
template <class Floats>
HWY_INLINE Floats at_least(Floats bound, Floats v) {
  return hwy::HWY_NAMESPACE::Max(bound, v);
}
template <class Floats>
HWY_INLINE Floats at_most(Floats bound, Floats v) {
  return hwy::HWY_NAMESPACE::Min(bound, v);
}
#endif

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
