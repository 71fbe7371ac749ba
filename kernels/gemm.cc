#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {

using T = float;
void gemm(T* c, const T* a, const T* b, GemmShape shape) {
  ref::table<float>().gemm(c, a, b, shape);
}
void gemm_nt(T* c, const T* a, const T* b, GemmShape shape) {
  ref::table<float>().gemm_nt(c, a, b, shape);
}
void gemm_tn(T* c, const T* a, const T* b, GemmShape shape) {
  ref::table<float>().gemm_tn(c, a, b, shape);
}
void pack_gemm(T* packed, const T* b, GemmShape shape) {
  ref::table<float>().pack_gemm(packed, b, shape);
}
void packed_gemm(T* c, const T* a, const T* packed, const T* bias, const T* residual,
                 Activation activation, GemmShape shape) {
  ref::table<float>().packed_gemm(c, a, packed, bias, residual, activation, shape);
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
