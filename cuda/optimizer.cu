// Steps of optimisers, elementwise over the parameters, and the statistics that training keeps.
#include <algorithm>
#include <cmath>

#include "cuda/map.h"
#include "cuda/table.h"
#include "kernels/scalar.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

// Arrays: parameter, m, v | gradient.
struct Adam {
  static constexpr int arrays = 4, outputs = 3;
  float beta1, beta2, correction1, correction2, learning_rate, epsilon;
  __device__ void operator()(float (&values)[4], std::int64_t) const {
    const float gradient = values[3];
    const float m = beta1 * values[1] + (1 - beta1) * gradient;
    const float v = beta2 * values[2] + (1 - beta2) * gradient * gradient;
    values[0] -= learning_rate * (m / correction1) / (sqrtf(v / correction2) + epsilon);
    values[1] = m;
    values[2] = v;
  }
};

// Arrays: parameter, velocity | gradient.
struct Sgd {
  static constexpr int arrays = 3, outputs = 2;
  float momentum, weight_decay, learning_rate;
  __device__ void operator()(float (&values)[3], std::int64_t) const {
    const float velocity = momentum * values[1] + values[2] + weight_decay * values[0];
    values[0] -= learning_rate * velocity;
    values[1] = velocity;
  }
};

// A part of the list of adam_many, small enough for a kernel's parameters: block b works on the
// tensor whose first block is the last one not behind b.
constexpr int kAdamTensors = 64;
constexpr std::int64_t kAdamBlock = 4096;  // numbers that a block steps

struct AdamList {
  AdamTensor<float> tensors[kAdamTensors];
  unsigned first_block[kAdamTensors];
  int size;
};

__global__ void __launch_bounds__(kMapThreads) adam_many_kernel(AdamList list, Adam formula) {
  int i = 0;
  while (i + 1 < list.size && list.first_block[i + 1] <= blockIdx.x) ++i;
  const AdamTensor<float> tensor = list.tensors[i];
  const std::int64_t begin = kAdamBlock * (blockIdx.x - list.first_block[i]);
  const std::int64_t end = begin + kAdamBlock < tensor.count ? begin + kAdamBlock : tensor.count;
  for (std::int64_t at = begin + threadIdx.x; at < end; at += kMapThreads) {
    float values[4] = {tensor.parameter[at], tensor.m[at], tensor.v[at], tensor.gradient[at]};
    formula(values, at);
    tensor.parameter[at] = values[0];
    tensor.m[at] = values[1];
    tensor.v[at] = values[2];
  }
}

// Arrays: average | x.
struct MovingAverage {
  static constexpr int arrays = 2, outputs = 1;
  double momentum, factor;
  __device__ void operator()(float (&values)[2], std::int64_t) const {
    values[0] =
        static_cast<float>(kernels::scalar::moving_average(values[0], values[1], momentum, factor));
  }
};

constexpr std::int64_t kSquaresBlock = 16384;  // numbers that a block adds up

// The sum over a block's threads, in thread 0.
__device__ double sum_of_block(double value) {
  __shared__ double sums[kMapThreads];
  sums[threadIdx.x] = value;
  for (unsigned half = kMapThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  return sums[0];
}

__global__ void __launch_bounds__(kMapThreads)
    squares_kernel(double* parts, const float* x, std::int64_t count) {
  const std::int64_t begin = kSquaresBlock * blockIdx.x;
  const std::int64_t end = begin + kSquaresBlock < count ? begin + kSquaresBlock : count;
  double sum = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kMapThreads)
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kMapThreads)
    sum_parts_kernel(float* sum, const double* parts, std::int64_t count) {
  double own = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kMapThreads) own += parts[i];
  own = sum_of_block(own);
  if (threadIdx.x == 0) *sum = static_cast<float>(own);
}

Adam adam_formula(AdamStep step) {
  const auto t = static_cast<double>(step.t);
  return {.beta1 = static_cast<float>(step.beta1),
          .beta2 = static_cast<float>(step.beta2),
          .correction1 = static_cast<float>(1 - std::pow(step.beta1, t)),
          .correction2 = static_cast<float>(1 - std::pow(step.beta2, t)),
          .learning_rate = static_cast<float>(step.learning_rate),
          .epsilon = static_cast<float>(step.epsilon)};
}

}  // namespace

void adam(float* parameter, float* m, float* v, const float* gradient, AdamStep step,
          std::int64_t count) {
  map({{parameter, m, v}, {parameter, m, v, gradient}}, adam_formula(step), count);
}

void adam_many(const AdamTensor<float>* tensors, std::int64_t tensor_count, AdamStep step) {
  const Adam formula = adam_formula(step);
  AdamList list = {};
  unsigned blocks = 0;
  const auto flush = [&] {
    launch(adam_many_kernel, dim3(blocks), dim3(kMapThreads), 0, list, formula);
    list.size = 0;
    blocks = 0;
  };
  for (std::int64_t i = 0; i < tensor_count; ++i) {
    if (tensors[i].count == 0) continue;
    list.tensors[list.size] = tensors[i];
    list.first_block[list.size++] = blocks;
    blocks += static_cast<unsigned>(ceil_div(tensors[i].count, kAdamBlock));
    if (list.size == kAdamTensors) flush();
  }
  flush();
}

void moving_average(float* average, const float* x, double momentum, double factor,
                    std::int64_t count) {
  map({{average}, {average, x}}, MovingAverage{.momentum = momentum, .factor = factor}, count);
}

void sum_of_squares(float* sum, const float* x, std::int64_t count) {
  const std::int64_t parts = ceil_div(count, kSquaresBlock);
  auto* sums =
      reinterpret_cast<double*>(workspace(Workspace::loss, 2 * std::max<std::int64_t>(parts, 1)));
  launch(squares_kernel, dim3(static_cast<unsigned>(parts)), dim3(kMapThreads), 0, sums, x, count);
  launch(sum_parts_kernel, dim3(1), dim3(kMapThreads), 0, sum, sums, parts);
}

void sgd(float* parameter, float* velocity, const float* gradient, SgdStep step,
         std::int64_t count) {
  const Sgd formula = {.momentum = static_cast<float>(step.momentum),
                       .weight_decay = static_cast<float>(step.weight_decay),
                       .learning_rate = static_cast<float>(step.learning_rate)};
  map({{parameter, velocity}, {parameter, velocity, gradient}}, formula, count);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
