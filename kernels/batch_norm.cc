#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {

using T = float;
void batch_norm_statistics(T* mean, T* variance, const T* x, RowShape shape) {
  ref::table<float>().batch_norm_statistics(mean, variance, x, shape);
}
void batch_norm(T* y, const T* x, const T* mean, const T* variance, const T* gamma, const T* beta,
                double epsilon, Activation activation, RowShape shape) {
  ref::table<float>().batch_norm(y, x, mean, variance, gamma, beta, epsilon, activation, shape);
}
void batch_norm_backward(T* dx, T* dgamma, T* dbeta, const T* dy, const T* x, const T* mean,
                         const T* variance, const T* gamma, double epsilon, RowShape shape) {
  ref::table<float>().batch_norm_backward(dx, dgamma, dbeta, dy, x, mean, variance, gamma, epsilon,
                                          shape);
}
void batch_norm_frozen_backward(T* dx, T* dgamma, T* dbeta, const T* dy, const T* x, const T* mean,
                                const T* variance, const T* gamma, double epsilon, RowShape shape) {
  ref::table<float>().batch_norm_frozen_backward(dx, dgamma, dbeta, dy, x, mean, variance, gamma,
                                                 epsilon, shape);
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
