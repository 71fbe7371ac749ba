// Initial values of parameters, drawn from a stream of random numbers.
#pragma once

#include <cstdint>

#include "base/random.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

// While one lives, what this thread draws below is left uninitialised: for loading, which
// overwrites every parameter.
class UndrawnParameters {
 public:
  UndrawnParameters();
  ~UndrawnParameters();
  UndrawnParameters(const UndrawnParameters&) = delete;
  UndrawnParameters& operator=(const UndrawnParameters&) = delete;
};

// Normal with deviation sqrt(2 / fan_out): He et al. 2015, for layers before a ReLU (torchvision's
// MobileNetV2).
Tensor he_normal(Shape shape, std::int64_t fan_out, Random& random);
// Uniform in ±sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010 (Keras' dense layers).
Tensor glorot_uniform(Shape shape, std::int64_t fan_in, std::int64_t fan_out, Random& random);

}  // namespace maskwatch::nn
