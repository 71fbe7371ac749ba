// Differentiable operations on tensors. Each checks its shapes (std::invalid_argument names the
// operation and the shapes), runs its kernel and, where an input requires a gradient, records how
// to take it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "nn/padding.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

using kernels::Activation;

// x[..., in] · weight[in, out]: a dense layer, or a 1×1 convolution of NHWC.
Tensor matmul(const Tensor& x, const Tensor& weight);
// x[..., channels] + bias[channels]
Tensor add_bias(const Tensor& x, const Tensor& bias);
// x[n, h, w, in] * weight[k, k, in, out]
Tensor conv2d(const Tensor& x, const Tensor& weight, int stride, Padding padding);
// x[n, h, w, c] * weight[3, 3, c], each channel by itself.
Tensor depthwise3x3(const Tensor& x, const Tensor& weight, int stride, Padding padding);

// Batch normalisation over all axes but the last (Ioffe & Szegedy 2015), then `activation`.
struct BatchNormState {
  Tensor gamma, beta;     // [channels], trained
  Tensor mean, variance;  // [channels], running statistics
};
// Normalises by the statistics of x and moves the running ones: running = momentum · running + (1 -
// momentum) · now. The running variance takes the biased one (Keras) when `unbiased` is false,
// n/(n-1) times it (PyTorch) when true.
Tensor batch_norm_training(const Tensor& x, const BatchNormState& state, double epsilon,
                           double momentum, bool unbiased, Activation activation);
// Normalises by the running statistics.
Tensor batch_norm_frozen(const Tensor& x, const BatchNormState& state, double epsilon,
                         Activation activation);

// One layer of conv_batch_norms(): a convolution without bias, batch norm, activation.
struct ConvBatchNormLayer {
  Tensor weight;  // [in, out] (1×1) or [3, 3, channels] (depthwise)
  BatchNormState state;
  double epsilon, momentum;
  bool unbiased;
  Activation activation;
  bool fixed_statistics;  // normalise by the running ones, and leave them be
  int stride = 1;         // of a depthwise layer, as its padding
  Padding padding = Padding::tf;
};
// [x +] layers one after the other, as batch_norm_training() or batch_norm_frozen() behind matmul()
// or depthwise3x3(). What lies between two convolutions is never written down: each reads the one
// before through its batch norm. So a layer keeps one result for backward() instead of two.
Tensor conv_batch_norms(const Tensor& x, const std::vector<ConvBatchNormLayer>& layers,
                        bool residual = false);

Tensor relu(const Tensor& x);
Tensor relu6(const Tensor& x);
Tensor add(const Tensor& a, const Tensor& b);
// x[n, h, w, c] to [n, c].
Tensor global_average_pool(const Tensor& x);
// Zeros each number with probability `rate` and scales the rest; which ones depends on `seed`
// alone. 0 <= rate < 1.
Tensor dropout(const Tensor& x, double rate, std::uint64_t seed);

// Over the last axis.
Tensor softmax(const Tensor& x);
// Mean over rows of -Σ targets · log softmax(logits); logits and targets [rows, classes]. For two
// classes this is also Keras' binary_crossentropy of a two-way softmax: both of its terms are -log
// p(true class).
Tensor softmax_cross_entropy(const Tensor& logits, const Tensor& targets);
// Mean over all numbers of the binary cross-entropy of sigmoid(logits).
Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets);

// forward(x), of which only the result is kept: backward() runs forward again, once, when it gets
// there. `parameters`: what forward trains. Gradients are the same bytes as without.
Tensor recomputed(const Tensor& x, const std::vector<Tensor>& parameters,
                  const std::function<Tensor(const Tensor&)>& forward);

}  // namespace maskwatch::nn
