// What an operation demands of its caller: a programmer's error ends in an assertion before any
// memory is touched. In builds with assertions every back end's table holds the operations behind
// these checks (checked()); a release's table holds the operations themselves. Each row of ops.def
// needs a function of its name here; the compiler names the one that is missing.
//
// Sizes are not negative; strides and kernels are at least 1; the size of an output follows from
// its input; a pointer is null only where ops.def says so, or where nothing lies behind it; outputs
// overlap nothing, except where ops.def says "in place": then they are an input or apart from it.
#pragma once

#include <cassert>
#include <cstdint>
#include <initializer_list>

#include "kernels/shapes.h"

namespace maskwatch::kernels {

#ifdef NDEBUG
constexpr bool kAsserts = false;
#else
constexpr bool kAsserts = true;
#endif

namespace checks {

// The memory of one operand.
struct Operand {
  template <typename T>
  Operand(const T* values, std::int64_t count)
      : begin(reinterpret_cast<const char*>(values)),
        size(count * static_cast<std::int64_t>(sizeof(T))) {}

  const char* begin;
  std::int64_t size;  // bytes
};

using Operands = std::initializer_list<Operand>;

// Null allowed.
template <typename T>
Operand optional(const T* values, std::int64_t count) {
  return {values, values ? count : 0};
}

inline bool is_there(const Operand& o) { return o.begin || o.size == 0; }

inline bool overlap(const Operand& a, const Operand& b) {
  if (a.size == 0 || b.size == 0) return false;
  return a.begin < b.begin + b.size && b.begin < a.begin + a.size;
}

inline void apart(Operands outputs, Operands inputs) {
  for (const Operand* out = outputs.begin(); out != outputs.end(); ++out) {
    assert(is_there(*out) && "an output is null");
    for (const Operand* other = out + 1; other != outputs.end(); ++other)
      assert(!overlap(*out, *other) && "outputs overlap");
    for ([[maybe_unused]] const Operand& in : inputs)
      assert(!overlap(*out, in) && "an output overlaps an input");
  }
  for ([[maybe_unused]] const Operand& in : inputs) assert(is_there(in) && "an input is null");
}

// `output` may be one of `inputs`.
inline void in_place([[maybe_unused]] const Operand& output, Operands inputs) {
  assert(is_there(output) && "an output is null");
  for ([[maybe_unused]] const Operand& in : inputs) {
    assert(is_there(in) && "an input is null");
    assert((in.begin == output.begin || !overlap(output, in)) && "an output overlaps an input");
  }
}

inline void sizes(std::initializer_list<std::int64_t> all) {
  for ([[maybe_unused]] const std::int64_t size : all) assert(size >= 0 && "a size is negative");
}

inline void shape(const GemmShape& s) { sizes({s.m, s.n, s.k}); }
inline void shape(const RowShape& s) { sizes({s.rows, s.channels}); }
inline void shape(const PoolShape& s) {
  sizes({s.batch, s.channels});
  assert(s.positions >= 1 && "a mean over no positions");
}
inline void shape(const UpsampleShape& s) { sizes({s.batch, s.height, s.width, s.channels}); }

inline std::int64_t count(const RowShape& s) { return s.rows * s.channels; }

// One axis of a convolution.
struct Axis {
  std::int64_t in, out;
  int kernel, stride, dilation, pad;
};

inline void axis(const Axis& a) {
  sizes({a.in, a.out, a.pad});
  assert(a.kernel >= 1 && "a kernel without taps");
  assert(a.stride >= 1 && "a stride below 1");
  assert(a.dilation >= 1 && "a dilation below 1");
  if (a.in == 0 || a.out == 0) return;
  // Zeros behind the input: from none to fewer than a kernel covers.
  [[maybe_unused]] const std::int64_t extent = std::int64_t{a.kernel - 1} * a.dilation + 1;
  [[maybe_unused]] const std::int64_t first_unseen = a.out * a.stride - a.pad;
  [[maybe_unused]] const std::int64_t last = first_unseen - a.stride;
  assert(a.pad < extent && "the first output sees padding only");
  assert(last < a.in && "too many outputs: the last one sees padding only");
  assert(first_unseen + extent > a.in && "too few outputs for this input");
}

inline void shape(const ConvShape& s) {
  sizes({s.batch, s.in_channels, s.out_channels});
  axis({s.in_height, s.out_height, s.kernel_height, s.stride, s.dilation, s.pad_top});
  axis({s.in_width, s.out_width, s.kernel_width, s.stride, s.dilation, s.pad_left});
}

inline void depthwise(const ConvShape& s) {
  shape(s);
  assert(s.kernel_height == 3 && s.kernel_width == 3 && "depthwise kernels are 3x3");
  assert(s.in_channels == s.out_channels && "depthwise keeps the channels");
}

inline void shape(const InvertedResidualShape& s) {
  sizes({s.batch, s.in_channels, s.expanded_channels, s.out_channels});
  assert((s.stride == 1 || s.stride == 2) && "the stride of a block is 1 or 2");
  if (s.expand_kernel > 1) {
    assert(s.expand && "a kernel of an expansion that is not there");
    axis({s.in_height, s.full_height, s.expand_kernel, s.expand_stride, 1, s.expand_pad_top});
    axis({s.in_width, s.full_width, s.expand_kernel, s.expand_stride, 1, s.expand_pad_left});
  }
  axis({s.middle_height(), s.out_height, 3, s.stride, 1, s.pad_top});
  axis({s.middle_width(), s.out_width, 3, s.stride, 1, s.pad_left});
  assert((s.expand || s.expanded_channels == s.in_channels) && "channels without expansion");
  assert((!s.residual || (s.in_channels == s.out_channels && s.in_height == s.out_height &&
                          s.in_width == s.out_width)) &&
         "a residual of another size");
}

inline std::int64_t inputs(const ConvShape& s) {
  return s.batch * s.in_height * s.in_width * s.in_channels;
}
inline std::int64_t outputs(const ConvShape& s) {
  return s.batch * s.out_height * s.out_width * s.out_channels;
}
inline std::int64_t weights(const ConvShape& s) {
  return std::int64_t{s.kernel_height} * s.kernel_width * s.in_channels * s.out_channels;
}

template <typename T>
void layer(const BatchNorm<T>& l, std::int64_t channels) {
  apart({}, {{l.mean, channels}, {l.variance, channels}, {l.gamma, channels}, {l.beta, channels}});
  assert(l.epsilon >= 0 && "epsilon is negative");
}

template <typename T>
void gradient_of(const BatchNormGradient<T>& g, std::int64_t rows, std::int64_t channels) {
  layer(g.layer, channels);
  apart({}, {{g.dy, rows * channels}, {g.z, rows * channels}});
  if (!g.layer.fixed) apart({}, {{g.dgamma, channels}, {g.dbeta, channels}});
}

// --- One function for each row of ops.def ---

template <typename T>
void gemm(T* c, const T* a, const T* b, GemmShape s) {
  shape(s);
  apart({{c, s.m * s.n}}, {{a, s.m * s.k}, {b, s.k * s.n}});
}

template <typename T>
void gemm_nt(T* c, const T* a, const T* b, GemmShape s) {
  gemm(c, a, b, s);
}

template <typename T>
void gemm_tn(T* c, const T* a, const T* b, GemmShape s) {
  gemm(c, a, b, s);
}

template <typename T>
void pack_gemm(T* packed, const T* b, GemmShape s) {
  shape(s);
  apart({{packed, packed_gemm_size(s.k, s.n)}}, {{b, s.k * s.n}});
}

template <typename T>
void packed_gemm(T* c, const T* a, const T* packed, const T* bias, const T* residual, Activation,
                 GemmShape s) {
  shape(s);
  apart({{c, s.m * s.n}},
        {{a, s.m * s.k}, {packed, s.k * s.n}, optional(bias, s.n), optional(residual, s.m * s.n)});
}

template <typename T>
void pointwise_average_pool(T* y, const T* x, const T* packed, const T* bias, Activation,
                            std::int64_t positions, GemmShape s) {
  shape(s);
  assert(positions >= 1 && s.m % positions == 0 && "rows are not whole images");
  apart({{y, s.m / positions * s.n}}, {{x, s.m * s.k}, {packed, s.k * s.n}, optional(bias, s.n)});
}

template <typename T>
void conv2d(T* y, const T* x, const T* w, const T* bias, Activation, ConvShape s) {
  shape(s);
  apart({{y, outputs(s)}}, {{x, inputs(s)}, {w, weights(s)}, optional(bias, s.out_channels)});
}

template <typename T>
void packed_conv2d(T* y, const T* x, const T* packed, const T* bias, Activation activation,
                   ConvShape s) {
  conv2d(y, x, packed, bias, activation, s);
}

template <typename T>
void conv2d_backward_input(T* dx, const T* dy, const T* w, ConvShape s) {
  shape(s);
  apart({{dx, inputs(s)}}, {{dy, outputs(s)}, {w, weights(s)}});
}

template <typename T>
void conv2d_backward_weight(T* dw, const T* dy, const T* x, ConvShape s) {
  shape(s);
  apart({{dw, weights(s)}}, {{dy, outputs(s)}, {x, inputs(s)}});
}

template <typename T>
void depthwise3x3(T* y, const T* x, const T* w, const T* bias, Activation, ConvShape s) {
  depthwise(s);
  apart({{y, outputs(s)}},
        {{x, inputs(s)}, {w, 9 * s.out_channels}, optional(bias, s.out_channels)});
}

template <typename T>
void depthwise3x3_backward_input(T* dx, const T* dy, const T* w, ConvShape s) {
  depthwise(s);
  apart({{dx, inputs(s)}}, {{dy, outputs(s)}, {w, 9 * s.out_channels}});
}

template <typename T>
void depthwise3x3_backward_weight(T* dw, const T* dy, const T* x, ConvShape s) {
  depthwise(s);
  apart({{dw, 9 * s.out_channels}}, {{dy, outputs(s)}, {x, inputs(s)}});
}

template <typename T>
void pack_inverted_residual(T* packed, const T* expand, const T* expand_bias, const T* depthwise,
                            const T* depthwise_bias, const T* project, const T* project_bias,
                            InvertedResidualShape s) {
  shape(s);
  const std::int64_t channels = s.expanded_channels;
  const Operand size = {packed, packed_inverted_residual_size(s)};
  apart({size}, {{depthwise, 9 * channels},
                 {depthwise_bias, channels},
                 {project, channels * s.out_channels},
                 {project_bias, s.out_channels}});
  if (s.expand) apart({size}, {{expand, s.expand_steps() * channels}, {expand_bias, channels}});
}

template <typename T>
void inverted_residual(T* y, const T* x, const T* packed, InvertedResidualShape s) {
  shape(s);
  apart({{y, s.batch * s.out_height * s.out_width * s.out_channels}},
        {{x, s.batch * s.in_height * s.in_width * s.in_channels},
         {packed, s.expanded_channels * s.out_channels}});
}

template <typename T>
void batch_norm_statistics(T* mean, T* variance, const T* x, RowShape s) {
  shape(s);
  assert(s.rows >= 1 && "statistics of no rows");
  apart({{mean, s.channels}, {variance, s.channels}}, {{x, count(s)}});
}

template <typename T>
void batch_norm(T* y, const T* x, const T* mean, const T* variance, const T* gamma, const T* beta,
                double epsilon, Activation activation, RowShape s) {
  shape(s);
  layer<T>({mean, variance, gamma, beta, epsilon, activation}, s.channels);
  in_place({y, count(s)}, {{x, count(s)}});
}

template <typename T>
void batch_norm_backward(T* dx, T* dgamma, T* dbeta, const T* dy, const T* x, const T* mean,
                         const T* variance, const T* gamma, const T* beta, double epsilon,
                         Activation activation, RowShape s) {
  shape(s);
  layer<T>({mean, variance, gamma, beta, epsilon, activation}, s.channels);
  in_place({dx, count(s)}, {{dy, count(s)}, {x, count(s)}});
  apart({{dgamma, s.channels}, {dbeta, s.channels}}, {{dy, count(s)}, {x, count(s)}});
}

template <typename T>
void batch_norm_frozen_backward(T* dx, T* dgamma, T* dbeta, const T* dy, const T* x, const T* mean,
                                const T* variance, const T* gamma, const T* beta, double epsilon,
                                Activation activation, RowShape s) {
  batch_norm_backward(dx, dgamma, dbeta, dy, x, mean, variance, gamma, beta, epsilon, activation,
                      s);
}

template <typename T>
void batch_norm_parameter_gradients(T* dgamma, T* dbeta, const T* dy, const T* x, BatchNorm<T> l,
                                    RowShape s) {
  shape(s);
  layer(l, s.channels);
  apart({{dgamma, s.channels}, {dbeta, s.channels}}, {{dy, count(s)}, {x, count(s)}});
}

template <typename T>
void pointwise_batch_norm(T* z, T* mean, T* variance, const T* x, const BatchNorm<T>* before,
                          const T* w, GemmShape s) {
  gemm(z, x, w, s);
  assert(!mean == !variance && "one of the statistics alone");
  apart({optional(mean, s.n), optional(variance, s.n)}, {{z, s.m * s.n}, {x, s.m * s.k}});
  if (before) layer(*before, s.k);
}

template <typename T>
void depthwise3x3_batch_norm(T* z, T* mean, T* variance, const T* x, const BatchNorm<T>* before,
                             const T* w, ConvShape s) {
  depthwise3x3<T>(z, x, w, nullptr, Activation::none, s);
  assert(!mean == !variance && "one of the statistics alone");
  apart({optional(mean, s.out_channels), optional(variance, s.out_channels)},
        {{z, outputs(s)}, {x, inputs(s)}});
  if (before) layer(*before, s.in_channels);
}

template <typename T>
void pointwise_batch_norm_backward(T* dx, T* dw, T* dgamma, T* dbeta, BatchNormGradient<T> gradient,
                                   const T* x, const BatchNorm<T>* before, const T* w,
                                   const T* residual, GemmShape s) {
  shape(s);
  gradient_of(gradient, s.m, s.n);
  const std::int64_t sums = before && dx ? s.k : 0;
  apart({optional(dx, s.m * s.k), {dw, s.k * s.n}, {dgamma, sums}, {dbeta, sums}},
        {{gradient.z, s.m * s.n}, {x, s.m * s.k}, {w, s.k * s.n}, optional(residual, s.m * s.k)});
  if (before) layer(*before, s.k);
  assert(!(before && residual) && "a residual beside a batch norm before");
}

template <typename T>
void depthwise3x3_batch_norm_backward(T* dx, T* dw, T* dgamma, T* dbeta,
                                      BatchNormGradient<T> gradient, const T* x,
                                      const BatchNorm<T>* before, const T* w, ConvShape s) {
  depthwise(s);
  gradient_of(gradient, s.batch * s.out_height * s.out_width, s.out_channels);
  const std::int64_t sums = before && dx ? s.in_channels : 0;
  apart({optional(dx, inputs(s)), {dw, 9 * s.out_channels}, {dgamma, sums}, {dbeta, sums}},
        {{gradient.z, outputs(s)}, {x, inputs(s)}, {w, 9 * s.out_channels}});
  if (before) layer(*before, s.in_channels);
}

template <typename T>
void relu(T* y, const T* x, std::int64_t count) {
  sizes({count});
  in_place({y, count}, {{x, count}});
}

template <typename T>
void relu_backward(T* dx, const T* dy, const T* x, std::int64_t count) {
  sizes({count});
  in_place({dx, count}, {{dy, count}, {x, count}});
}

template <typename T>
void relu6(T* y, const T* x, std::int64_t count) {
  relu(y, x, count);
}

template <typename T>
void relu6_backward(T* dx, const T* dy, const T* x, std::int64_t count) {
  relu_backward(dx, dy, x, count);
}

template <typename T>
void add(T* y, const T* a, const T* b, std::int64_t count) {
  relu_backward(y, a, b, count);
}

template <typename T>
void sigmoid(T* y, const T* x, std::int64_t count) {
  relu(y, x, count);
}

template <typename T>
void scale(T* y, const T* x, double, std::int64_t count) {
  relu(y, x, count);
}

template <typename T>
void add_bias(T* y, const T* x, const T* bias, RowShape s) {
  shape(s);
  in_place({y, count(s)}, {{x, count(s)}});
  apart({}, {{bias, s.channels}});
}

template <typename T>
void add_bias_backward(T* dbias, const T* dy, RowShape s) {
  shape(s);
  apart({{dbias, s.channels}}, {{dy, count(s)}});
}

template <typename T>
void dropout(T* y, const T* x, [[maybe_unused]] double rate, std::uint64_t, std::int64_t count) {
  relu(y, x, count);
  assert(rate >= 0 && rate < 1 && "a rate outside [0, 1)");
}

template <typename T>
void global_average_pool(T* y, const T* x, PoolShape s) {
  shape(s);
  apart({{y, s.batch * s.channels}}, {{x, s.batch * s.positions * s.channels}});
}

template <typename T>
void global_average_pool_backward(T* dx, const T* dy, PoolShape s) {
  shape(s);
  apart({{dx, s.batch * s.positions * s.channels}}, {{dy, s.batch * s.channels}});
}

template <typename T>
void upsample2x(T* y, const T* x, UpsampleShape s) {
  shape(s);
  apart({{y, s.outputs()}}, {{x, s.inputs()}});
}

template <typename T>
void upsample2x_backward(T* dx, const T* dy, UpsampleShape s) {
  shape(s);
  apart({{dx, s.inputs()}}, {{dy, s.outputs()}});
}

template <typename T>
void copy_rows(T* y, std::int64_t y_stride, const T* x, std::int64_t x_stride, RowShape s) {
  shape(s);
  assert((s.rows <= 1 || (y_stride >= s.channels && x_stride >= s.channels)) &&
         "rows lie closer than they are long");
  const auto reach = [&](std::int64_t stride) {
    return s.rows > 0 ? (s.rows - 1) * stride + s.channels : 0;
  };
  apart({{y, reach(y_stride)}}, {{x, reach(x_stride)}});
}

template <typename T>
void softmax(T* y, const T* x, RowShape s) {
  shape(s);
  in_place({y, count(s)}, {{x, count(s)}});
}

template <typename T>
void softmax_backward(T* dx, const T* dy, const T* y, RowShape s) {
  shape(s);
  in_place({dx, count(s)}, {{dy, count(s)}, {y, count(s)}});
}

template <typename T>
void softmax_cross_entropy(T* loss, const T* logits, const T* targets, RowShape s) {
  shape(s);
  assert(s.rows >= 1 && "a mean over no rows");
  apart({{loss, 1}}, {{logits, count(s)}, {targets, count(s)}});
}

template <typename T>
void softmax_cross_entropy_backward(T* dlogits, const T* dloss, const T* logits, const T* targets,
                                    RowShape s) {
  shape(s);
  apart({{dlogits, count(s)}}, {{dloss, 1}, {logits, count(s)}, {targets, count(s)}});
}

template <typename T>
void binary_cross_entropy(T* loss, const T* logits, const T* targets, RowShape s) {
  softmax_cross_entropy(loss, logits, targets, s);
}

template <typename T>
void binary_cross_entropy_backward(T* dlogits, const T* dloss, const T* logits, const T* targets,
                                   RowShape s) {
  softmax_cross_entropy_backward(dlogits, dloss, logits, targets, s);
}

template <typename T>
void adam(T* parameter, T* m, T* v, const T* gradient, [[maybe_unused]] AdamStep step,
          std::int64_t count) {
  sizes({count});
  assert(step.t >= 1 && "steps count from 1");
  apart({{parameter, count}, {m, count}, {v, count}}, {{gradient, count}});
}

template <typename T>
void sgd(T* parameter, T* velocity, const T* gradient, SgdStep, std::int64_t count) {
  sizes({count});
  apart({{parameter, count}, {velocity, count}}, {{gradient, count}});
}

template <typename T>
void adam_many(const AdamTensor<T>* tensors, std::int64_t tensor_count, AdamStep step) {
  for (std::int64_t i = 0; i < tensor_count; ++i)
    adam(tensors[i].parameter, tensors[i].m, tensors[i].v, tensors[i].gradient, step,
         tensors[i].count);
}

template <typename T>
void moving_average(T* average, const T* x, [[maybe_unused]] double momentum, double,
                    std::int64_t count) {
  sizes({count});
  assert(momentum >= 0 && momentum <= 1 && "a momentum outside [0, 1]");
  apart({{average, count}}, {{x, count}});
}

template <typename T>
void sum_of_squares(T* sum, const T* x, std::int64_t count) {
  sizes({count});
  apart({{sum, 1}}, {{x, count}});
}

}  // namespace checks

template <auto kCheck, auto kRun>
struct Checked;

template <typename... Arguments, void (*kCheck)(Arguments...), void (*kRun)(Arguments...)>
struct Checked<kCheck, kRun> {
  static void run(Arguments... arguments) {
    kCheck(arguments...);
    kRun(arguments...);
  }
};

// The entry of a table for the operation kRun.
template <auto kCheck, auto kRun>
constexpr auto checked() {
  if constexpr (kAsserts)
    return &Checked<kCheck, kRun>::run;
  else
    return kRun;
}

}  // namespace maskwatch::kernels
