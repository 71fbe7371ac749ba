// Batch normalisation fused into the adjacent convolutions: a cache-resident block of rows at a
// time, on the calling thread. Defined in batch_norm.cc. Included once for each target.
#if defined(KERNELS_BATCH_NORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERNELS_BATCH_NORM_INL_H_
#undef KERNELS_BATCH_NORM_INL_H_
#else
#define KERNELS_BATCH_NORM_INL_H_
#endif

#include <vector>

#include "kernels/shapes.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

// A layer's parameters, repeated to long rows.
struct ChannelParameters {
  ChannelParameters(const LongRows& rows, const BatchNorm<float>& layer);

  std::vector<double> inverse;  // 1 / σ for each channel
  RepeatedParameters means, scales, shifts;
};

// dx = γ/σ (dz - (dbeta + (x - mean)/σ · dgamma) / rows) as a·dz + b·(x - mean) + k: what flows
// through the statistics of these very rows included.
struct GradientFactors {
  GradientFactors(const LongRows& shape, const ChannelParameters& p, const float* gamma,
                  const float* dgamma, const float* dbeta, double rows);

  RepeatedParameters of_x, constants;
};

// Mean and sum of squared distances from it, for each channel.
struct Moments {
  double* mean;
  double* squares;
};

// Mean and variance of an array whose rows are seen in parts: a part is taken while it is in the
// cache, and the parts are joined in order.
class PartialMoments {
 public:
  PartialMoments(std::int64_t channels, std::int64_t parts)
      : channels_(channels), counts_(parts), values_(2 * channels * parts) {}

  // Part `index`, once, of `rows` > 0 rows from x on.
  void take(std::int64_t index, const float* x, std::int64_t rows);
  void store(float* mean, float* variance);

 private:
  Moments moments(std::int64_t index) {
    double* mine = values_.data() + index * 2 * channels_;
    return {mine, mine + channels_};
  }

  std::int64_t channels_;
  std::vector<double> counts_, values_;
};

// y = activation(γ (x - mean) / σ + β), in memory of the caller's or in x itself.
class Normaliser {
 public:
  Normaliser(const BatchNorm<float>& layer, std::int64_t channels)
      : shape_({0, channels}), activation_(layer.activation), parameters_(shape_, layer) {}

  void run(float* y, const float* x, std::int64_t rows) const;

 private:
  LongRows shape_;
  Activation activation_;
  ChannelParameters parameters_;
};

// dz, the gradient of what a convolution made, of the dy behind its batch norm.
class Differentiator {
 public:
  Differentiator(const BatchNormGradient<float>& g, std::int64_t rows, std::int64_t channels);

  const float* dy() const { return gradient_.dy; }
  const float* z() const { return gradient_.z; }

  // Rows [first, first + rows).
  void run(float* dz, std::int64_t first, std::int64_t rows) const;

 private:
  BatchNormGradient<float> gradient_;
  LongRows shape_;
  ChannelParameters parameters_;
  GradientFactors factors_;
};

// dgamma and dbeta of a layer, from rows that are seen in parts; joined like PartialMoments.
class PartialParameterGradients {
 public:
  PartialParameterGradients(const BatchNorm<float>& layer, std::int64_t channels,
                            std::int64_t parts)
      : shape_({0, channels}),
        activation_(layer.activation),
        parameters_(shape_, layer),
        values_(2 * channels * parts) {}

  // Part `index`, once: `rows` rows of dy and of x.
  void take(std::int64_t index, const float* dy, const float* x, std::int64_t rows);
  void store(float* dgamma, float* dbeta) const;

 private:
  LongRows shape_;
  Activation activation_;
  ChannelParameters parameters_;
  std::vector<double> values_;
};

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // KERNELS_BATCH_NORM_INL_H_
