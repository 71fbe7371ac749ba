// Mean and variance of columns in one pass: each thread about a number of its own column, so that
// nothing large cancels, then merged in a fixed order (Chan, Golub and LeVeque 1983).
#pragma once

#include "cuda/rows.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// Of `width` channels: how many numbers, one of them, how far their mean is off that one, and the
// sum of squares of what they are off the mean. The mean itself would be rounded in steps that are
// large beside a small variance.
template <int width>
struct Moments {
  static constexpr int arrays = 4;
  enum Array { count, shift, offset, squares };
  Vector<width> of[arrays];

  __device__ __forceinline__ void add(const Moments& other) {
#pragma unroll
    for (int j = 0; j < width; ++j) {
      const float more = other.of[count].at[j], had = of[count].at[j];
      if (more == 0) continue;
      if (had == 0) of[shift].at[j] = other.of[shift].at[j];
      const float apart =
          other.of[shift].at[j] - of[shift].at[j] + (other.of[offset].at[j] - of[offset].at[j]);
      const float share = more / (had + more);
      of[count].at[j] = had + more;
      of[offset].at[j] += apart * share;
      of[squares].at[j] += other.of[squares].at[j] + apart * apart * had * share;
    }
  }
};

// What a thread gathers of its numbers (Welford 1962, about the first of them).
template <int width>
class RunningMoments {
 public:
  __device__ __forceinline__ void add(const Vector<width>& v) {
    if (count_ == 0) shift_ = v;
    count_ += 1;
    const float share = 1 / count_;
#pragma unroll
    for (int j = 0; j < width; ++j) {
      const float x = v.at[j] - shift_.at[j], before = x - offset_.at[j];
      offset_.at[j] += before * share;
      squares_.at[j] += before * (x - offset_.at[j]);
    }
  }

  __device__ __forceinline__ Moments<width> moments() const {
    Moments<width> m;
#pragma unroll
    for (int j = 0; j < width; ++j) m.of[Moments<width>::count].at[j] = count_;
    m.of[Moments<width>::shift] = shift_;
    m.of[Moments<width>::offset] = offset_;
    m.of[Moments<width>::squares] = squares_;
    return m;
  }

 private:
  float count_ = 0;
  Vector<width> shift_ = {}, offset_ = {}, squares_ = {};
};

// mean and biased variance of partial[parts, 4, channels]: the arrays of Moments<1>.
void merge_moments(float* mean, float* variance, const float* partial, std::int64_t parts,
                   std::int64_t channels);

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
