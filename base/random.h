// Random numbers by counting: the n-th number of a key depends on the key and n alone, never on
// which thread asked first. The mixing step is that of splitmix64 (Steele, Lea and Flood, 2014).
#pragma once

#include <cstdint>
#include <initializer_list>

namespace maskwatch {

constexpr std::uint64_t mix_bits(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

class Random {
 public:
  explicit Random(std::initializer_list<std::uint64_t> key) {
    for (std::uint64_t part : key) state_ = mix_bits(state_ + part + step);
  }

  std::uint64_t bits() { return mix_bits(state_ += step); }
  // In [low, high).
  double uniform(double low = 0, double high = 1) {
    return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53;
  }
  // In [0, count).
  int below(int count) { return static_cast<int>(uniform(0, count)); }
  bool chance(double probability) { return uniform() < probability; }
  // About normal, standard deviation 1 (sum of four uniform numbers), within +-3.47.
  double normal() {
    return (uniform() + uniform() + uniform() + uniform() - 2) * 1.7320508075688772;
  }

 private:
  static constexpr std::uint64_t step = 0x9E3779B97F4A7C15u;
  std::uint64_t state_ = 0;
};

}  // namespace maskwatch
