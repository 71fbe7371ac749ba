// Layers with parameters: convolution with its batch norm, and dense.
#pragma once

#include <cstdint>

#include "nn/graph.h"
#include "nn/init.h"
#include "nn/module.h"
#include "nn/ops/batch_norm.h"
#include "nn/ops/conv.h"
#include "nn/ops/conv_batch_norm.h"
#include "nn/ops/linear.h"

namespace maskwatch::nn {

// How batch norm keeps and uses its statistics.
struct BatchNormOptions {
  double epsilon = 1e-3;    // Keras MobileNetV2; PyTorch 1e-5
  double momentum = 0.999;  // share of the old running statistics that stays; PyTorch 0.9
  bool unbiased = false;    // running variance: PyTorch true, Keras false
};

class BatchNorm : public TraceableModule {
 public:
  BatchNorm(std::int64_t channels, const BatchNormOptions& options, Activation activation)
      : options_(options), activation_(activation) {
    add_parameter("gamma", state_.gamma, Tensor::full({channels}, 1));
    add_parameter("beta", state_.beta, Tensor::zeros({channels}));
    add_buffer("mean", state_.mean, Tensor::zeros({channels}));
    add_buffer("variance", state_.variance, Tensor::full({channels}, 1));
  }

  // Normalises by the batch in training mode unless frozen or `keep_statistics`.
  Tensor forward(const Tensor& x) override {
    if (!normalises_by_batch()) return batch_norm_frozen(x, state_, options_.epsilon, activation_);
    return batch_norm_training(x, state_, options_.epsilon, options_.momentum, options_.unbiased,
                               activation_);
  }

  Value trace(Graph& graph, Value x) const override {
    return graph.add(op::BatchNorm{state_.gamma, state_.beta, state_.mean, state_.variance,
                                   options_.epsilon, activation_},
                     {x});
  }

  // This layer behind a 1×1 or depthwise convolution.
  ConvBatchNormLayer behind(const Tensor& weight, int stride, Padding padding) const {
    return {.weight = weight,
            .state = state_,
            .epsilon = options_.epsilon,
            .momentum = options_.momentum,
            .unbiased = options_.unbiased,
            .activation = activation_,
            .fixed_statistics = !normalises_by_batch(),
            .stride = stride,
            .padding = padding};
  }

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

  class Convolution : public TraceableModule {
   public:
    Convolution(const Options& options, Random& random) : options_(options) {
      add_parameter("weight", weight_, initial_weight(options, random));
    }

    Tensor forward(const Tensor& x) override {
      switch (options_.kind) {
        case ConvKind::full3x3:
          return conv2d(x, weight_, options_.stride, options_.padding);
        case ConvKind::depthwise3x3:
          return depthwise3x3(x, weight_, options_.stride, options_.padding);
        default:
          return matmul(x, weight_);
      }
    }

    Value trace(Graph& graph, Value x) const override {
      if (options_.kind == ConvKind::pointwise) return graph.add(op::Pointwise{{weight_, {}}}, {x});
      const ActivationShape& in = graph.shape(x);
      const kernels::ConvShape shape = conv_shape(1, in.height, in.width, in.channels, options_.out,
                                                  3, options_.stride, options_.padding);
      if (options_.kind == ConvKind::full3x3)
        return graph.add(op::Conv2d{{weight_, {}}, shape}, {x});
      return graph.add(op::Depthwise3x3{{weight_, {}}, shape}, {x});
    }

    const Tensor& weight() const { return weight_; }
    const Options& options() const { return options_; }

   private:
    static Tensor initial_weight(const Options& o, Random& random) {
      switch (o.kind) {
        case ConvKind::full3x3:
          return he_normal({3, 3, o.in, o.out}, 9 * o.out, random);
        case ConvKind::depthwise3x3:
          return he_normal({3, 3, o.out}, 9, random);
        default:
          return he_normal({o.in, o.out}, o.out, random);
      }
    }

    Options options_;
    Tensor weight_;
  };

  ConvBatchNorm(const Options& options, Random& random)
      : convolution(options, random),
        batch_norm(options.out, options.batch_norm, options.activation) {}

  Tensor forward(const Tensor& x) {
    if (convolution.options().kind == ConvKind::full3x3)
      return batch_norm.forward(convolution.forward(x));
    return conv_batch_norms(x, {layer()});
  }

  // What conv_batch_norms() runs; not of a full convolution.
  ConvBatchNormLayer layer() const {
    const Options& options = convolution.options();
    return batch_norm.behind(convolution.weight(), options.stride, options.padding);
  }

  Value trace(Graph& graph, Value x) const {
    return batch_norm.trace(graph, convolution.trace(graph, x));
  }

  Convolution convolution;
  BatchNorm batch_norm;
};

class Dense : public TraceableModule {
 public:
  Dense(std::int64_t in, std::int64_t out, Random& random) {
    add_parameter("weight", weight_, glorot_uniform({in, out}, in, out, random));
    add_parameter("bias", bias_, Tensor::zeros({out}));
  }

  // x[rows, in]
  Tensor forward(const Tensor& x) override { return add_bias(matmul(x, weight_), bias_); }
  Value trace(Graph& graph, Value x) const override {
    return graph.add(op::Pointwise{{weight_, bias_}}, {x});
  }

 private:
  Tensor weight_, bias_;  // [in, out], [out]
};

}  // namespace maskwatch::nn
