#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {

using T = float;
void conv2d(T* y, const T* x, const T* w, const T* bias, Activation activation, ConvShape shape) {
  ref::table<float>().conv2d(y, x, w, bias, activation, shape);
}
void conv2d_backward_input(T* dx, const T* dy, const T* w, ConvShape shape) {
  ref::table<float>().conv2d_backward_input(dx, dy, w, shape);
}
void conv2d_backward_weight(T* dw, const T* dy, const T* x, ConvShape shape) {
  ref::table<float>().conv2d_backward_weight(dw, dy, x, shape);
}
void depthwise3x3(T* y, const T* x, const T* w, const T* bias, Activation activation,
                  ConvShape shape) {
  ref::table<float>().depthwise3x3(y, x, w, bias, activation, shape);
}
void depthwise3x3_backward_input(T* dx, const T* dy, const T* w, ConvShape shape) {
  ref::table<float>().depthwise3x3_backward_input(dx, dy, w, shape);
}
void depthwise3x3_backward_weight(T* dw, const T* dy, const T* x, ConvShape shape) {
  ref::table<float>().depthwise3x3_backward_weight(dw, dy, x, shape);
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
