// Steps of optimisers, elementwise over the parameters.
#include <cmath>

#include "cuda/map.h"
#include "cuda/table.h"

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

}  // namespace

void adam(float* parameter, float* m, float* v, const float* gradient, AdamStep step,
          std::int64_t count) {
  const auto t = static_cast<double>(step.t);
  const Adam formula = {.beta1 = static_cast<float>(step.beta1),
                        .beta2 = static_cast<float>(step.beta2),
                        .correction1 = static_cast<float>(1 - std::pow(step.beta1, t)),
                        .correction2 = static_cast<float>(1 - std::pow(step.beta2, t)),
                        .learning_rate = static_cast<float>(step.learning_rate),
                        .epsilon = static_cast<float>(step.epsilon)};
  map({{parameter, m, v}, {parameter, m, v, gradient}}, formula, count);
}

void sgd(float* parameter, float* velocity, const float* gradient, SgdStep step,
         std::int64_t count) {
  const Sgd formula = {.momentum = static_cast<float>(step.momentum),
                       .weight_decay = static_cast<float>(step.weight_decay),
                       .learning_rate = static_cast<float>(step.learning_rate)};
  map({{parameter, velocity}, {parameter, velocity, gradient}}, formula, count);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
