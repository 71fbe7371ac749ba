// Initial values of parameters, drawn from a seed. Each call of a Random takes the next numbers of
// one stream.
#pragma once

#include <cstdint>

#include "nn/tensor.h"

namespace maskwatch::nn {

class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}
  // In [0, 1), 53 bits.
  double uniform();
  // Mean 0, deviation 1 (Box & Muller 1958).
  double normal();

 private:
  std::uint64_t seed_;
  std::uint64_t index_ = 0;
};

// Normal with deviation sqrt(2 / fan_out): He et al. 2015, for layers before a ReLU (torchvision's
// MobileNetV2).
Tensor he_normal(Shape shape, std::int64_t fan_out, Random& random);
// Uniform in ±sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010 (Keras' dense layers).
Tensor glorot_uniform(Shape shape, std::int64_t fan_in, std::int64_t fan_out, Random& random);

}  // namespace maskwatch::nn
