// Layers with parameters: convolution with its batch norm, and dense.
#pragma once

#include "nn/init.h"
#include "nn/module.h"
#include "nn/ops.h"

namespace maskwatch::nn {

// How batch norm keeps and uses its statistics.
struct BatchNormOptions {
  double epsilon = 1e-3;  // Keras MobileNetV2; PyTorch 1e-5
  double momentum =
      0.999;  // share of the old running statistics that stays; Keras MobileNetV2; PyTorch 0.9
  bool unbiased = false;  // running variance: PyTorch true, Keras false
};

class BatchNorm : public Module {
 public:
  BatchNorm(std::int64_t channels, const BatchNormOptions& options, Activation activation);

  // Normalises by the batch in training mode unless frozen or `keep_statistics`.
  Tensor forward(const Tensor& x) override;
  // A batch norm is folded into what is before it: std::logic_error.
  Value lower(PlanBuilder& builder, Value x) const override;

  FoldedWeights fold_into(const Tensor& weight) const;
  // This layer behind a 1×1 or depthwise convolution.
  ConvBatchNormLayer behind(const Tensor& weight, int stride, Padding padding) const;
  Activation activation() const { return activation_; }
  // Fine-tuning: train gamma and beta, but normalise by the running statistics and leave them be.
  void keep_statistics(bool keep) { keep_statistics_ = keep; }

 private:
  bool normalises_by_batch() const { return training() && !frozen_ && !keep_statistics_; }

  BatchNormState state_;
  BatchNormOptions options_;
  Activation activation_;
  bool keep_statistics_ = false;
};

enum class ConvKind { full3x3, depthwise3x3, pointwise };

// A convolution without bias, batch norm, activation.
// weight: [3, 3, in, out], [3, 3, channels] or [in, out]; state: NAME.weight and NAME_bn.{gamma,
// beta, mean, variance} are named by the module that holds it.
class ConvBatchNorm {
 public:
  struct Options {
    ConvKind kind;
    std::int64_t in, out;  // equal for depthwise
    int stride = 1;
    Padding padding = Padding::tf;
    Activation activation = Activation::relu6;
    BatchNormOptions batch_norm;
  };

  class Convolution : public Module {
   public:
    Convolution(const Options& options, Random& random);
    Tensor forward(const Tensor& x) override;
    Value lower(PlanBuilder& builder, Value x) const override;
    Value lower(PlanBuilder& builder, Value x, const FoldedWeights& weights, Activation activation,
                Value residual) const;
    const Tensor& weight() const { return weight_; }
    const Options& options() const { return options_; }
    // Sizes, stride and padding for one picture of shape `in`; not for a pointwise convolution.
    kernels::ConvShape shape_for(const PictureShape& in) const;

   private:
    Options options_;
    Tensor weight_;
  };

  ConvBatchNorm(const Options& options, Random& random)
      : convolution(options, random),
        batch_norm(options.out, options.batch_norm, options.activation) {}

  Tensor forward(const Tensor& x);
  // What conv_batch_norms() runs; not of a full convolution.
  ConvBatchNormLayer layer() const;
  // `residual` is added to the result of a pointwise convolution.
  Value lower(PlanBuilder& builder, Value x, Value residual = {}) const;
  FoldedWeights folded() const { return batch_norm.fold_into(convolution.weight()); }

  Convolution convolution;
  BatchNorm batch_norm;
};

class Dense : public Module {
 public:
  Dense(std::int64_t in, std::int64_t out, Random& random);

  // x[rows, in]
  Tensor forward(const Tensor& x) override;
  Value lower(PlanBuilder& builder, Value x) const override {
    return lower(builder, x, Activation::none);
  }
  Value lower(PlanBuilder& builder, Value x, Activation activation) const;

 private:
  Tensor weight_, bias_;  // [in, out], [out]
};

}  // namespace maskwatch::nn
