#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/loss.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {

using T = float;
void softmax(T* y, const T* x, RowShape shape) { ref::table<float>().softmax(y, x, shape); }
void softmax_backward(T* dx, const T* dy, const T* y, RowShape shape) {
  ref::table<float>().softmax_backward(dx, dy, y, shape);
}
void softmax_cross_entropy(T* loss, const T* logits, const T* targets, RowShape shape) {
  ref::table<float>().softmax_cross_entropy(loss, logits, targets, shape);
}
void softmax_cross_entropy_backward(T* dlogits, const T* dloss, const T* logits, const T* targets,
                                    RowShape shape) {
  ref::table<float>().softmax_cross_entropy_backward(dlogits, dloss, logits, targets, shape);
}
void binary_cross_entropy(T* loss, const T* logits, const T* targets, RowShape shape) {
  ref::table<float>().binary_cross_entropy(loss, logits, targets, shape);
}
void binary_cross_entropy_backward(T* dlogits, const T* dloss, const T* logits, const T* targets,
                                   RowShape shape) {
  ref::table<float>().binary_cross_entropy_backward(dlogits, dloss, logits, targets, shape);
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
