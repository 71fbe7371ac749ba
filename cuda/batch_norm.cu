// Batch normalisation over x[rows, channels]: statistics, the layer, and its gradients.
#include "cuda/batch_norm.h"

#include "cuda/moments.h"
#include "cuda/rows.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

struct Statistics {
  static constexpr int unroll = 4;
  const float* x;
  std::int64_t channels;

  template <int width>
  struct Thread {
    using Sums = Moments<width>;
    RunningMoments<width> gathered;

    __device__ Thread(const Statistics&, std::int64_t) {}
    __device__ __forceinline__ void row(const Statistics& f, std::int64_t r, std::int64_t c) {
      gathered.add(load<width>(f.x + r * f.channels + c));
    }
    __device__ Sums sums() const { return gathered.moments(); }
  };
};

__global__ void __launch_bounds__(kMergeLanes* kMostMergeRows)
    merge_parts(float* mean, float* variance, const float* partial, std::int64_t parts,
                std::int64_t channels) {
  __shared__ Moments<1> shared[kMergeLanes * kMostMergeRows];
  const std::int64_t c = std::int64_t{blockIdx.x} * kMergeLanes + threadIdx.x;
  Moments<1> all = {};
  if (c < channels)
    for (std::int64_t part = threadIdx.y; part < parts; part += blockDim.y) {
      Moments<1> one;
#pragma unroll
      for (int k = 0; k < Moments<1>::arrays; ++k)
        one.of[k].at[0] = partial[(part * Moments<1>::arrays + k) * channels + c];
      all.add(one);
    }
  add_over_block_rows(all, shared);
  if (c >= channels || threadIdx.y != 0) return;
  mean[c] = all.of[Moments<1>::shift].at[0] + all.of[Moments<1>::offset].at[0];
  variance[c] = all.of[Moments<1>::squares].at[0] / all.of[Moments<1>::count].at[0];
}

struct Forward {
  static constexpr int unroll = 2;
  float* y;
  const float* x;
  BatchNorm<float> layer;
  std::int64_t channels;

  template <int width>
  struct Thread {
    using Sums = NoSums;
    NormOf<width> norm;

    __device__ Thread(const Forward& f, std::int64_t c) : norm(f.layer, c) {}
    __device__ __forceinline__ void row(const Forward& f, std::int64_t r, std::int64_t c) {
      const std::int64_t i = r * f.channels + c;
      store<width>(f.y + i, norm(load<width>(f.x + i)));
    }
  };
};

// dgamma, dbeta
struct ParameterSums {
  static constexpr int unroll = 2;
  const float *dy, *x;
  BatchNorm<float> layer;
  std::int64_t channels;

  template <int width>
  struct Thread {
    using Sums = ChannelSums<width, 2>;
    NormOf<width> norm;
    Sums total = {};

    __device__ Thread(const ParameterSums& f, std::int64_t c) : norm(f.layer, c) {}
    __device__ __forceinline__ void row(const ParameterSums& f, std::int64_t r, std::int64_t c) {
      const std::int64_t i = r * f.channels + c;
      const Vector<width> dy = load<width>(f.dy + i), x = load<width>(f.x + i);
#pragma unroll
      for (int j = 0; j < width; ++j) {
        const float dz = norm.through_activation(dy.at[j], x.at[j], j);
        total.of[0].at[j] += dz * norm.normalised(x.at[j], j);
        total.of[1].at[j] += dz;
      }
    }
    __device__ Sums sums() const { return total; }
  };
};

// dx of dy, and of the sums that ParameterSums has made unless the statistics are fixed.
struct InputGradient {
  static constexpr int unroll = 2;
  float* dx;
  BatchNormGradient<float> gradient;
  RowShape shape;

  template <int width>
  struct Thread {
    using Sums = NoSums;
    GradientOf<width> gradient;

    __device__ Thread(const InputGradient& f, std::int64_t c)
        : gradient(f.gradient, c, static_cast<float>(f.shape.rows)) {}
    __device__ __forceinline__ void row(const InputGradient& f, std::int64_t r, std::int64_t c) {
      const std::int64_t i = r * f.shape.channels + c;
      store<width>(f.dx + i,
                   gradient(load<width>(f.gradient.dy + i), load<width>(f.gradient.z + i)));
    }
  };
};

void backward(float* dx, float* dgamma, float* dbeta, const float* dy, const float* x,
              const BatchNorm<float>& layer, RowShape s) {
  batch_norm_parameter_gradients(dgamma, dbeta, dy, x, layer, s);
  map_rows(InputGradient{dx, {dy, x, layer, dgamma, dbeta}, s}, s,
           aligned(layer) && aligned(dx, dy, x, dgamma, dbeta));
}

}  // namespace

void merge_moments(float* mean, float* variance, const float* partial, std::int64_t parts,
                   std::int64_t channels) {
  launch(merge_parts, dim3(static_cast<unsigned>(ceil_div(channels, kMergeLanes))),
         dim3(kMergeLanes, merge_rows(parts)), 0, mean, variance, partial, parts, channels);
}

void batch_norm_statistics(float* mean, float* variance, const float* x, RowShape s) {
  const RowParts p = sum_parts(s, aligned(x));
  float* const partial = partial_sums(Workspace::column_sums, p, Moments<1>::arrays, s.channels);
  run_pass(partial, Statistics{x, s.channels}, s, p);
  merge_moments(mean, variance, partial, p.parts, s.channels);
}

void batch_norm(float* y, const float* x, const float* mean, const float* variance,
                const float* gamma, const float* beta, double epsilon, Activation activation,
                RowShape s) {
  const BatchNorm<float> layer = {mean, variance, gamma, beta, epsilon, activation};
  map_rows(Forward{y, x, layer, s.channels}, s, aligned(layer) && aligned(y, x));
}

void batch_norm_parameter_gradients(float* dgamma, float* dbeta, const float* dy, const float* x,
                                    BatchNorm<float> layer, RowShape s) {
  sum_rows<2>({{dgamma, dbeta}}, ParameterSums{dy, x, layer, s.channels}, s,
              aligned(layer) && aligned(dy, x));
}

void batch_norm_backward(float* dx, float* dgamma, float* dbeta, const float* dy, const float* x,
                         const float* mean, const float* variance, const float* gamma,
                         const float* beta, double epsilon, Activation activation, RowShape s) {
  backward(dx, dgamma, dbeta, dy, x, {mean, variance, gamma, beta, epsilon, activation}, s);
}

void batch_norm_frozen_backward(float* dx, float* dgamma, float* dbeta, const float* dy,
                                const float* x, const float* mean, const float* variance,
                                const float* gamma, const float* beta, double epsilon,
                                Activation activation, RowShape s) {
  constexpr bool fixed = true;
  backward(dx, dgamma, dbeta, dy, x, {mean, variance, gamma, beta, epsilon, activation, fixed}, s);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
