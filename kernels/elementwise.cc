#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {

using T = float;
void relu(T* y, const T* x, std::int64_t count) { ref::table<float>().relu(y, x, count); }
void relu_backward(T* dx, const T* dy, const T* x, std::int64_t count) {
  ref::table<float>().relu_backward(dx, dy, x, count);
}
void relu6(T* y, const T* x, std::int64_t count) { ref::table<float>().relu6(y, x, count); }
void relu6_backward(T* dx, const T* dy, const T* x, std::int64_t count) {
  ref::table<float>().relu6_backward(dx, dy, x, count);
}
void add(T* y, const T* a, const T* b, std::int64_t count) {
  ref::table<float>().add(y, a, b, count);
}
void scale(T* y, const T* x, double factor, std::int64_t count) {
  ref::table<float>().scale(y, x, factor, count);
}
void add_bias(T* y, const T* x, const T* bias, RowShape shape) {
  ref::table<float>().add_bias(y, x, bias, shape);
}
void add_bias_backward(T* dbias, const T* dy, RowShape shape) {
  ref::table<float>().add_bias_backward(dbias, dy, shape);
}
void dropout(T* y, const T* x, double rate, std::uint64_t seed, std::int64_t count) {
  ref::table<float>().dropout(y, x, rate, seed, count);
}
void global_average_pool(T* y, const T* x, PoolShape shape) {
  ref::table<float>().global_average_pool(y, x, shape);
}
void global_average_pool_backward(T* dx, const T* dy, PoolShape shape) {
  ref::table<float>().global_average_pool_backward(dx, dy, shape);
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
