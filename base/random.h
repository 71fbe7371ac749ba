// Counter-based random numbers (splitmix64: Steele, Lea and Flood 2014): the n-th number of a
// stream depends on the stream's seed and n alone, never on which thread asked first.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "base/host_device.h"

namespace maskwatch {

// The golden ratio's fraction: multiples of it are spread evenly over 64 bits.
inline constexpr std::uint64_t kRandomStep = 0x9E3779B97F4A7C15u;

// A bijection of 64 bits in which every bit of the result depends on every bit of `z`.
KERNELS_HOST_DEVICE constexpr std::uint64_t mix_bits(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Number `index` of the stream `seed`.
KERNELS_HOST_DEVICE constexpr std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) {
  return mix_bits(seed + (index + 1) * kRandomStep);
}

// The numbers of one stream, one after the other.
class Random {
 public:
  // The stream of a key, such as {seed, epoch, index}: every part changes all numbers.
  explicit Random(std::initializer_list<std::uint64_t> key) {
    for (std::uint64_t part : key) state_ = mix_bits(state_ + part + kRandomStep);
  }
  // random_bits(seed, 0), random_bits(seed, 1), ...
  static Random of_seed(std::uint64_t seed) {
    Random random({});
    random.state_ = seed;
    return random;
  }

  std::uint64_t bits() { return mix_bits(state_ += kRandomStep); }
  // In [low, high), from 53 bits.
  double uniform(double low = 0, double high = 1) {
    return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53;
  }
  // In [0, count).
  int below(int count) { return static_cast<int>(uniform(0, count)); }
  bool chance(double probability) { return uniform() < probability; }
  // Normal with mean 0 and standard deviation 1 (Box and Muller 1958).
  double gaussian();
  // About normal, standard deviation 1, within +-3.47: a sum of four uniform numbers.
  double bounded_normal() {
    return (uniform() + uniform() + uniform() + uniform() - 2) * 1.7320508075688772;
  }

 private:
  std::uint64_t state_ = 0;
};

}  // namespace maskwatch
