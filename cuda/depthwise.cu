// Depthwise 3x3 convolutions and their gradients.
#include "cuda/depthwise.h"

#include "cuda/depthwise_formulas.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

void depthwise3x3(float* y, const float* x, const float* w, const float* bias,
                  Activation activation, ConvShape s) {
  const Strips strips = strips_of(s);
  const bool whole = aligned(y, x, w, bias);
  with_stride(strips, [&](auto stride) {
    const DepthwiseForward<stride(), Plain, false> formula = {y, {x}, w, bias, activation, strips};
    run_pass(nullptr, formula, strips.shape(), map_parts(strips.shape(), whole, 1));
  });
}

void depthwise3x3_backward_input(float* dx, const float* dy, const float* w, ConvShape s) {
  const bool whole = aligned(dx, dy, w);
  with_input_gradient(dx, dy, w, NoLayer(), s, [&](const auto& formula, RowShape shape) {
    run_pass(nullptr, formula, shape, map_parts(shape, whole, 1));
  });
}

void depthwise3x3_backward_weight(float* dw, const float* dy, const float* x, ConvShape s) {
  const Strips strips = strips_of(s);
  with_stride(strips, [&](auto stride) {
    const DepthwiseWeightGradient<stride(), Plain, Plain> formula = {nullptr, {x}, {dy}, strips};
    sum_weight_gradient(dw, formula, strips, aligned(dy, x));
  });
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
