// What depthwise convolutions do at each strip (cuda/depthwise.h): forward, with or without the
// statistics of the result, and the gradients of weights and input.
#pragma once

#include "cuda/depthwise.h"
#include "cuda/moments.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// y = activation(window · w + bias), bias: or null; with the moments of y if they are wanted.
template <int stride, typename Source, bool with_moments>
struct DepthwiseForward {
  static constexpr int unroll = 1;
  float* y;
  Source source;
  const float *w, *bias;
  kernels::Activation activation;
  Strips strips;

  template <int width>
  struct Thread {
    using Sums = std::conditional_t<with_moments, Moments<width>, NoSums>;
    typename Source::template Thread<width> source;
    Weights<width> weights;
    Vector<width> bias;
    RunningMoments<width> moments;

    __device__ __forceinline__ Thread(const DepthwiseForward& f, std::int64_t c)
        : source(f.source, c), weights(f.w, f.strips.channels, c), bias{} {
      if (f.bias) bias = load<width>(f.bias + c);
    }
    __device__ __forceinline__ void row(const DepthwiseForward& f, std::int64_t task,
                                        std::int64_t c) {
      const Strip strip(f.strips, task);
      slide<width, stride>(source, f.strips, strip, c, [&](int row, const Window<width>& window) {
        Vector<width> sum = bias;
#pragma unroll
        for (int tap = 0; tap < 9; ++tap)
          multiply_add(sum, window[tap / 3][tap % 3], weights.at[tap]);
#pragma unroll
        for (int j = 0; j < width; ++j)
          sum.at[j] = kernels::scalar::activate(sum.at[j], f.activation);
        store<width>(f.y + strip.index(f.strips, row, c), sum);
        if constexpr (with_moments) moments.add(sum);
      });
    }
    __device__ __forceinline__ Sums sums() const { return moments.moments(); }
  };
};

// dw = Σ dz · window. `keep`: dz is written there too; or null.
template <int stride, typename Source, typename Gradient>
struct DepthwiseWeightGradient {
  static constexpr int unroll = 1;
  float* keep;
  Source source;
  Gradient gradient;
  Strips strips;

  template <int width>
  struct Thread {
    using Sums = ChannelSums<width, 9>;
    typename Source::template Thread<width> source;
    typename Gradient::template Thread<width> gradient;
    Sums total = {};

    __device__ __forceinline__ Thread(const DepthwiseWeightGradient& f, std::int64_t c)
        : source(f.source, c), gradient(f.gradient, c) {}
    __device__ __forceinline__ void row(const DepthwiseWeightGradient& f, std::int64_t task,
                                        std::int64_t c) {
      const Strip strip(f.strips, task);
      slide<width, stride>(source, f.strips, strip, c, [&](int row, const Window<width>& window) {
        const std::int64_t i = strip.index(f.strips, row, c);
        const Vector<width> dz = gradient(i);
        if (f.keep) store<width>(f.keep + i, dz);
#pragma unroll
        for (int tap = 0; tap < 9; ++tap) multiply_add(total.of[tap], window[tap / 3][tap % 3], dz);
      });
    }
    __device__ __forceinline__ Sums sums() const { return total; }
  };
};

// What follows the gradient of an input: nothing, or the sums of the batch norm that it went
// through.
struct NoLayer {
  template <int width>
  struct Thread {
    using Sums = NoSums;
    __device__ __forceinline__ Thread(const NoLayer&, std::int64_t) {}
    __device__ __forceinline__ void add(std::int64_t, const Vector<width>&) {}
    __device__ __forceinline__ Sums sums() const { return {}; }
  };
};

// dgamma, dbeta
struct LayerSums {
  const float* x;
  kernels::BatchNorm<float> layer;

  template <int width>
  struct Thread {
    using Sums = ChannelSums<width, 2>;
    const float* x;
    NormOf<width> norm;
    Sums total = {};

    __device__ __forceinline__ Thread(const LayerSums& f, std::int64_t c)
        : x(f.x), norm(f.layer, c) {}
    __device__ __forceinline__ void add(std::int64_t i, const Vector<width>& dy) {
      const Vector<width> at = load<width>(x + i);
#pragma unroll
      for (int j = 0; j < width; ++j) {
        const float dz = norm.through_activation(dy.at[j], at.at[j], j);
        total.of[0].at[j] += dz * norm.normalised(at.at[j], j);
        total.of[1].at[j] += dz;
      }
    }
    __device__ __forceinline__ Sums sums() const { return total; }
  };
};

// dx of dz at stride 1: a convolution with the filter turned round. `strips`: of dx, over dz.
template <typename Layer>
struct DepthwiseInputGradient {
  static constexpr int unroll = 1;
  float* dx;
  Plain dz;
  const float* w;
  Layer layer;
  Strips strips;

  template <int width>
  struct Thread {
    using Sums = typename Layer::template Thread<width>::Sums;
    typename Plain::Thread<width> dz;
    Weights<width> weights;
    typename Layer::template Thread<width> layer;

    __device__ __forceinline__ Thread(const DepthwiseInputGradient& f, std::int64_t c)
        : dz(f.dz, c), weights(f.w, f.strips.channels, c), layer(f.layer, c) {}
    __device__ __forceinline__ void row(const DepthwiseInputGradient& f, std::int64_t task,
                                        std::int64_t c) {
      const Strip strip(f.strips, task);
      slide<width, 1>(dz, f.strips, strip, c, [&](int row, const Window<width>& window) {
        Vector<width> sum = {};
#pragma unroll
        for (int tap = 0; tap < 9; ++tap)
          multiply_add(sum, window[tap / 3][tap % 3], weights.at[8 - tap]);
        const std::int64_t i = strip.index(f.strips, row, c);
        store<width>(f.dx + i, sum);
        layer.add(i, sum);
      });
    }
    __device__ __forceinline__ Sums sums() const { return layer.sums(); }
  };
};

// The same at any stride: each position of dx looks for the outputs that it went into. To
// cuda/rows.h a row is a position.
template <typename Layer>
struct DepthwiseInputGather {
  static constexpr int unroll = 1;
  float* dx;
  const float *dz, *w;
  Layer layer;
  kernels::ConvShape shape;

  template <int width>
  struct Thread {
    using Sums = typename Layer::template Thread<width>::Sums;
    Weights<width> weights;
    typename Layer::template Thread<width> layer;

    __device__ __forceinline__ Thread(const DepthwiseInputGather& f, std::int64_t c)
        : weights(f.w, f.shape.in_channels, c), layer(f.layer, c) {}
    __device__ __forceinline__ void row(const DepthwiseInputGather& f, std::int64_t position,
                                        std::int64_t c) {
      const kernels::ConvShape& s = f.shape;
      const auto columns = static_cast<unsigned>(s.in_width),
                 number = static_cast<unsigned>(position);
      const unsigned rest = number / columns, rows = static_cast<unsigned>(s.in_height);
      const int x = static_cast<int>(number % columns) + s.pad_left;
      const int y = static_cast<int>(rest % rows) + s.pad_top;
      const float* image = f.dz + rest / rows * s.out_height * s.out_width * s.in_channels + c;
      Vector<width> sum = {};
#pragma unroll
      for (int tap = 0; tap < 9; ++tap) {
        const int out_y = y - tap / 3 * s.dilation, out_x = x - tap % 3 * s.dilation;
        if (out_y < 0 || out_x < 0 || out_y % s.stride != 0 || out_x % s.stride != 0) continue;
        const std::int64_t row = out_y / s.stride, column = out_x / s.stride;
        if (row >= s.out_height || column >= s.out_width) continue;
        multiply_add(sum, load<width>(image + (row * s.out_width + column) * s.in_channels),
                     weights.at[tap]);
      }
      const std::int64_t i = position * s.in_channels + c;
      store<width>(f.dx + i, sum);
      layer.add(i, sum);
    }
    __device__ __forceinline__ Sums sums() const { return layer.sums(); }
  };
};

// Runs run(formula, shape to cuda/rows.h) with the formula for dx that serves this convolution.
template <typename Layer, typename Run>
void with_input_gradient(float* dx, const float* dz, const float* w, const Layer& layer,
                         const kernels::ConvShape& s, const Run& run) {
  if (s.stride != 1 || s.dilation != 1) {
    run(DepthwiseInputGather<Layer>{dx, dz, w, layer, s},
        kernels::RowShape{s.batch * s.in_height * s.in_width, s.in_channels});
    return;
  }
  kernels::ConvShape turned = s;
  turned.in_height = s.out_height, turned.in_width = s.out_width;
  turned.out_height = s.in_height, turned.out_width = s.in_width;
  turned.pad_top = 2 - s.pad_top, turned.pad_left = 2 - s.pad_left;
  const Strips strips = strips_of(turned);
  run(DepthwiseInputGradient<Layer>{dx, {dz}, w, layer, strips}, strips.shape());
}

// dw[3, 3, channels] of a pass with DepthwiseWeightGradient.
template <typename Formula>
void sum_weight_gradient(float* dw, const Formula& formula, const Strips& strips,
                         bool whole_vectors) {
  constexpr int taps = 9, turns = 2;
  const RowParts p = sum_parts(strips.shape(), whole_vectors, turns);
  float* const partial = partial_sums(Workspace::weight_parts, p, taps, strips.channels);
  run_pass(partial, formula, strips.shape(), p);
  SumOutputs<taps> out;
  for (int tap = 0; tap < taps; ++tap) out.to[tap] = dw + tap * strips.channels;
  add_all_parts(out, partial, p.parts, strips.channels);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
