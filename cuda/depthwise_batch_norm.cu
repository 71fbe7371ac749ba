// Depthwise 3x3 convolutions that take in the batch norms around them: x is read through the layer
// before, the statistics of the result are made where it is made, and the gradient of the result is
// found from that of what the layer behind made of it.
#include "cuda/depthwise_formulas.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

template <typename Source>
void forward(float* z, float* mean, float* variance, const Source& source, const float* w,
             const Strips& strips, bool whole_vectors) {
  constexpr int turns = 2;
  const RowParts p = sum_parts(strips.shape(), whole_vectors, turns);
  float* const partial =
      partial_sums(Workspace::column_sums, p, Moments<1>::arrays, strips.channels);
  with_stride(strips, [&](auto stride) {
    const DepthwiseForward<stride(), Source, true> formula = {z,       source,           w,
                                                              nullptr, Activation::none, strips};
    run_pass(partial, formula, strips.shape(), p);
  });
  if (mean) merge_moments(mean, variance, partial, p.parts, strips.channels);
}

// dw, and dz at `keep` (or null).
template <typename Source>
void weight_gradient(float* dw, float* keep, const Source& source, const GradientOfZ& gradient,
                     const Strips& strips, bool whole_vectors) {
  with_stride(strips, [&](auto stride) {
    const DepthwiseWeightGradient<stride(), Source, GradientOfZ> formula = {keep, source, gradient,
                                                                            strips};
    sum_weight_gradient(dw, formula, strips, whole_vectors);
  });
}

}  // namespace

void depthwise3x3_batch_norm(float* z, float* mean, float* variance, const float* x,
                             const BatchNorm<float>* before, const float* w, ConvShape s) {
  const Strips strips = strips_of(s);
  const bool whole = aligned(z, x, w) && (!before || aligned(*before));
  if (before)
    forward(z, mean, variance, Normed{x, *before}, w, strips, whole);
  else
    forward(z, mean, variance, Plain{x}, w, strips, whole);
}

void depthwise3x3_batch_norm_backward(float* dx, float* dw, float* dgamma, float* dbeta,
                                      BatchNormGradient<float> gradient, const float* x,
                                      const BatchNorm<float>* before, const float* w, ConvShape s) {
  const Strips strips = strips_of(s);
  const std::int64_t rows = s.batch * s.out_height * s.out_width;
  const GradientOfZ source = {gradient, static_cast<float>(rows)};
  const bool whole = aligned(x, gradient.dy, gradient.z) && aligned(gradient.layer) &&
                     aligned(gradient.dgamma, gradient.dbeta) && (!before || aligned(*before));
  float* const dz = dx ? workspace(Workspace::gradient, rows * s.out_channels) : nullptr;
  if (before)
    weight_gradient(dw, dz, Normed{x, *before}, source, strips, whole);
  else
    weight_gradient(dw, dz, Plain{x}, source, strips, whole);
  if (!dx) return;
  if (before) {
    with_input_gradient(
        dx, dz, w, LayerSums{x, *before}, s, [&](const auto& formula, RowShape shape) {
          sum_rows<2>({{dgamma, dbeta}}, formula, shape, aligned(dx, w, x) && aligned(*before));
        });
  } else {
    with_input_gradient(dx, dz, w, NoLayer(), s, [&](const auto& formula, RowShape shape) {
      run_pass(nullptr, formula, shape, map_parts(shape, aligned(dx, w), 1));
    });
  }
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
