// Optimiser steps over Highway vectors, and the statistics that training keeps. The formulas are
// those of ref/optimizer.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optimizer.cc"
#include <hwy/foreach_target.h>

#include <cmath>

#include "kernels/simd-inl.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

void adam(float* parameter, float* m, float* v, const float* gradient, AdamStep step,
          std::int64_t count) {
  const double t = static_cast<double>(step.t);
  const float beta1 = static_cast<float>(step.beta1), beta2 = static_cast<float>(step.beta2);
  const float rate = static_cast<float>(step.learning_rate / (1 - std::pow(step.beta1, t)));
  const float unbias = static_cast<float>(1 / (1 - std::pow(step.beta2, t)));
  const float epsilon = static_cast<float>(step.epsilon);
  parallel_for_vectors(count, [=](const auto& part, std::int64_t i) HWY_ATTR {
    const Lanes d;
    const Vector g = part.load(gradient + i);
    const Vector gg = hn::Mul(g, g);
    const Vector new_m =
        hn::MulAdd(hn::Set(d, beta1), part.load(m + i), hn::Mul(hn::Set(d, 1 - beta1), g));
    const Vector new_v =
        hn::MulAdd(hn::Set(d, beta2), part.load(v + i), hn::Mul(hn::Set(d, 1 - beta2), gg));
    const Vector root = hn::Sqrt(hn::Mul(new_v, hn::Set(d, unbias)));
    const Vector change =
        hn::Div(hn::Mul(hn::Set(d, rate), new_m), hn::Add(root, hn::Set(d, epsilon)));
    part.store(new_m, m + i);
    part.store(new_v, v + i);
    part.store(hn::Sub(part.load(parameter + i), change), parameter + i);
  });
}

void sgd(float* parameter, float* velocity, const float* gradient, SgdStep step,
         std::int64_t count) {
  const float momentum = static_cast<float>(step.momentum);
  const float weight_decay = static_cast<float>(step.weight_decay);
  const float rate = static_cast<float>(step.learning_rate);
  parallel_for_vectors(count, [=](const auto& part, std::int64_t i) HWY_ATTR {
    const Lanes d;
    const Vector p = part.load(parameter + i);
    const Vector pull = hn::MulAdd(hn::Set(d, weight_decay), p, part.load(gradient + i));
    const Vector v = hn::MulAdd(hn::Set(d, momentum), part.load(velocity + i), pull);
    part.store(v, velocity + i);
    part.store(hn::NegMulAdd(hn::Set(d, rate), v, p), parameter + i);
  });
}

void adam_many(const AdamTensor<float>* tensors, std::int64_t tensor_count, AdamStep step) {
  for (std::int64_t i = 0; i < tensor_count; ++i)
    adam(tensors[i].parameter, tensors[i].m, tensors[i].v, tensors[i].gradient, step,
         tensors[i].count);
}

// The reference, compiled for the baseline: what a compiler for a better target makes of it rounds
// once where this rounds twice.
void moving_average(float* average, const float* x, double momentum, double factor,
                    std::int64_t count) {
  parallel_for_range(count, 1 << 15, [=](std::int64_t begin, std::int64_t end) {
    ref::moving_average(average + begin, x + begin, momentum, factor, end - begin);
  });
}

// Optimisers on the CPU add up squares themselves, in double (nn/optimizer.h).
void sum_of_squares(float* sum, const float* x, std::int64_t count) {
  ref::sum_of_squares(sum, x, count);
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
