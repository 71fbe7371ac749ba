// A bias on every row, and its gradient.
#include "cuda/rows.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

struct AddBias {
  static constexpr int unroll = 2;
  float* y;
  const float *x, *bias;
  std::int64_t channels;

  template <int width>
  struct Thread {
    using Sums = NoSums;
    Vector<width> bias;

    __device__ Thread(const AddBias& f, std::int64_t c) : bias(load<width>(f.bias + c)) {}
    __device__ __forceinline__ void row(const AddBias& f, std::int64_t r, std::int64_t c) {
      const std::int64_t i = r * f.channels + c;
      Vector<width> v = load<width>(f.x + i);
#pragma unroll
      for (int j = 0; j < width; ++j) v.at[j] += bias.at[j];
      store<width>(f.y + i, v);
    }
  };
};

struct Sum {
  static constexpr int unroll = 4;
  const float* x;
  std::int64_t channels;

  template <int width>
  struct Thread {
    using Sums = ChannelSums<width, 1>;
    Sums total = {};

    __device__ Thread(const Sum&, std::int64_t) {}
    __device__ __forceinline__ void row(const Sum& f, std::int64_t r, std::int64_t c) {
      total.add({{load<width>(f.x + r * f.channels + c)}});
    }
    __device__ Sums sums() const { return total; }
  };
};

}  // namespace

void add_bias(float* y, const float* x, const float* bias, RowShape s) {
  map_rows(AddBias{y, x, bias, s.channels}, s, aligned(y, x, bias));
}

void add_bias_backward(float* dbias, const float* dy, RowShape s) {
  sum_rows<1>({{dbias}}, Sum{dy, s.channels}, s, aligned(dy));
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
