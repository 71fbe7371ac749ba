// Softmax, and losses that take logits and never give infinity or NaN for finite ones.
#pragma once

#include "nn/ops/check.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// Over the last axis. Saves its result.
inline Tensor softmax(const Tensor& x) {
  const kernels::RowShape shape = rows_of(x, "softmax");
  const auto& k = x.device().table();
  Tensor y = Tensor::empty(x.shape(), x.device());
  k.softmax(y.data(), x.data(), shape);
  y.record({x}, [=, &k, result = y.detach()](const Tensor& dy) {
    Tensor dx = Tensor::empty(x.shape(), x.device());
    k.softmax_backward(dx.data(), dy.data(), result.data(), shape);
    x.add_gradient(dx);
  });
  return y;
}

using LossOnLogits = void (*)(float* loss, const float* logits, const float* targets,
                              kernels::RowShape shape);
using LossOnLogitsBackward = void (*)(float* dlogits, const float* dloss, const float* logits,
                                      const float* targets, kernels::RowShape shape);

// The one value that `forward` makes of logits and targets, both [rows, classes]. Saves both.
inline Tensor loss_on_logits(const Tensor& logits, const Tensor& targets, const char* operation,
                             LossOnLogits forward, LossOnLogitsBackward backward) {
  require(logits.shape() == targets.shape() && logits.shape().size() == 2 && logits.count() > 0,
          operation, logits, targets);
  const kernels::RowShape shape = rows_of(logits, operation);
  Tensor loss = Tensor::empty({1}, device_of(operation, logits, targets));
  forward(loss.data(), logits.data(), targets.data(), shape);
  loss.record({logits}, [=](const Tensor& dloss) {
    Tensor dlogits = Tensor::empty(logits.shape(), logits.device());
    backward(dlogits.data(), dloss.data(), logits.data(), targets.data(), shape);
    logits.add_gradient(dlogits);
  });
  return loss;
}

// Mean over rows of -Σ targets · log softmax(logits). For two classes this is also Keras'
// binary_crossentropy of a two-way softmax: both of its terms are -log p(true class).
inline Tensor softmax_cross_entropy(const Tensor& logits, const Tensor& targets) {
  const auto& k = logits.device().table();
  return loss_on_logits(logits, targets, "softmax_cross_entropy", k.softmax_cross_entropy,
                        k.softmax_cross_entropy_backward);
}

// Mean over all values of the binary cross-entropy of sigmoid(logits).
inline Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets) {
  const auto& k = logits.device().table();
  return loss_on_logits(logits, targets, "binary_cross_entropy", k.binary_cross_entropy,
                        k.binary_cross_entropy_backward);
}

}  // namespace maskwatch::nn
