// Reference optimiser steps, and the statistics that training keeps.
#pragma once

#include <cmath>

#include "kernels/scalar.h"
#include "kernels/table.h"

namespace maskwatch::kernels::ref {

template <typename T>
void adam(T* parameter, T* m, T* v, const T* gradient, AdamStep step, std::int64_t count) {
  const T beta1 = T(step.beta1), beta2 = T(step.beta2);
  const T correction1 = T(1 - std::pow(step.beta1, double(step.t)));
  const T correction2 = T(1 - std::pow(step.beta2, double(step.t)));
  for (std::int64_t i = 0; i < count; ++i) {
    m[i] = beta1 * m[i] + (T(1) - beta1) * gradient[i];
    v[i] = beta2 * v[i] + (T(1) - beta2) * gradient[i] * gradient[i];
    parameter[i] -= T(step.learning_rate) * (m[i] / correction1) /
                    (std::sqrt(v[i] / correction2) + T(step.epsilon));
  }
}

template <typename T>
void sgd(T* parameter, T* velocity, const T* gradient, SgdStep step, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    velocity[i] =
        T(step.momentum) * velocity[i] + gradient[i] + T(step.weight_decay) * parameter[i];
    parameter[i] -= T(step.learning_rate) * velocity[i];
  }
}

template <typename T>
void adam_many(const AdamTensor<T>* tensors, std::int64_t tensor_count, AdamStep step) {
  for (std::int64_t i = 0; i < tensor_count; ++i)
    adam(tensors[i].parameter, tensors[i].m, tensors[i].v, tensors[i].gradient, step,
         tensors[i].count);
}

template <typename T>
void moving_average(T* average, const T* x, double momentum, double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
    average[i] = static_cast<T>(scalar::moving_average(
        static_cast<double>(average[i]), static_cast<double>(x[i]), momentum, factor));
}

template <typename T>
void sum_of_squares(T* sum, const T* x, std::int64_t count) {
  double squares = 0;
  for (std::int64_t i = 0; i < count; ++i) squares += double(x[i]) * double(x[i]);
  *sum = T(squares);
}

}  // namespace maskwatch::kernels::ref
