// Elementwise operations and dropout.
#include "cuda/map.h"
#include "cuda/table.h"
#include "kernels/scalar.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

namespace scalar = kernels::scalar;

struct Relu {
  static constexpr int arrays = 1, outputs = 1;
  __device__ void operator()(float (&v)[1], std::int64_t) const { v[0] = scalar::relu(v[0]); }
};

struct Relu6 {
  static constexpr int arrays = 1, outputs = 1;
  __device__ void operator()(float (&v)[1], std::int64_t) const { v[0] = scalar::relu6(v[0]); }
};

struct ReluBackward {
  static constexpr int arrays = 2, outputs = 1;
  __device__ void operator()(float (&v)[2], std::int64_t) const {
    v[0] = scalar::relu_backward(v[0], v[1]);
  }
};

struct Relu6Backward {
  static constexpr int arrays = 2, outputs = 1;
  __device__ void operator()(float (&v)[2], std::int64_t) const {
    v[0] = scalar::relu6_backward(v[0], v[1]);
  }
};

struct Add {
  static constexpr int arrays = 2, outputs = 1;
  __device__ void operator()(float (&v)[2], std::int64_t) const { v[0] += v[1]; }
};

struct Sigmoid {
  static constexpr int arrays = 1, outputs = 1;
  __device__ void operator()(float (&v)[1], std::int64_t) const { v[0] = scalar::sigmoid(v[0]); }
};

struct Scale {
  static constexpr int arrays = 1, outputs = 1;
  float factor;
  __device__ void operator()(float (&v)[1], std::int64_t) const { v[0] *= factor; }
};

struct Dropout {
  static constexpr int arrays = 1, outputs = 1;
  std::uint64_t seed;
  std::uint32_t threshold;
  float factor;
  __device__ void operator()(float (&v)[1], std::int64_t i) const {
    v[0] = scalar::dropout_keeps(seed, i, threshold) ? v[0] * factor : 0.0f;
  }
};

}  // namespace

void relu(float* y, const float* x, std::int64_t count) { map({{y}, {x}}, Relu(), count); }

void relu6(float* y, const float* x, std::int64_t count) { map({{y}, {x}}, Relu6(), count); }

void relu_backward(float* dx, const float* dy, const float* x, std::int64_t count) {
  map({{dx}, {dy, x}}, ReluBackward(), count);
}

void relu6_backward(float* dx, const float* dy, const float* x, std::int64_t count) {
  map({{dx}, {dy, x}}, Relu6Backward(), count);
}

void add(float* y, const float* a, const float* b, std::int64_t count) {
  map({{y}, {a, b}}, Add(), count);
}

void sigmoid(float* y, const float* x, std::int64_t count) { map({{y}, {x}}, Sigmoid(), count); }

void scale(float* y, const float* x, double factor, std::int64_t count) {
  map({{y}, {x}}, Scale{static_cast<float>(factor)}, count);
}

void dropout(float* y, const float* x, double rate, std::uint64_t seed, std::int64_t count) {
  map({{y}, {x}},
      Dropout{seed, scalar::dropout_threshold(rate), static_cast<float>(1 / (1 - rate))}, count);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
