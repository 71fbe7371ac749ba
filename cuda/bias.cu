// A bias on every row, and its gradient.
#include "cuda/rows.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

struct AddBias {
  float* y;
  const float *x, *bias;

  using Channel = float;
  __device__ Channel channel(std::int64_t c) const { return bias[c]; }
  template <int width>
  __device__ __forceinline__ void row(std::int64_t i, const Channel (&b)[width]) const {
    Vector<width> v = load<width>(x + i);
#pragma unroll
    for (int j = 0; j < width; ++j) v.at[j] += b[j];
    store<width>(y + i, v);
  }
};

struct Sum {
  const float* x;

  static constexpr int sums = 1;
  struct Channel {};
  __device__ Channel channel(std::int64_t, std::int64_t) const { return {}; }
  template <int width>
  __device__ __forceinline__ void row(ChannelSums<width, 1>& sums_of, std::int64_t i,
                                      const Channel (&)[width]) const {
    sums_of.add({{load<width>(x + i)}});
  }
};

}  // namespace

void add_bias(float* y, const float* x, const float* bias, RowShape s) {
  map_rows(AddBias{y, x, bias}, s, aligned(y, x));
}

void add_bias_backward(float* dbias, const float* dy, RowShape s) {
  sum_rows({{dbias}}, Sum{dy}, s, aligned(dy));
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
