// What a file may cost, whatever it holds: the limits that a user may set, each by an environment
// variable. SECURITY.md lists them beside the fixed ones.
#pragma once

#include <cstdint>
#include <string>

namespace maskwatch {

struct Limit {
  const char* variable;  // of the environment
  std::int64_t usual, most;
  const char* unit;  // "million pixels"
};

// Pixels of a picture, in millions. The most is what the codecs can count in bytes.
inline constexpr Limit kMaxMegapixels{"MASKWATCH_MAX_MEGAPIXELS", 256, 700, "million pixels"};
// Bytes of a file that is read whole, in MiB.
inline constexpr Limit kMaxFile{"MASKWATCH_MAX_FILE_MB", 1024, 1 << 20, "MiB"};
// Memory that a network takes for its packed weights and for what lies between its layers, in MiB.
inline constexpr Limit kMaxNetworkMemory{"MASKWATCH_MAX_NETWORK_MB", 2048, 1 << 20, "MiB"};
// Multiply-adds that a network takes for one picture, in thousand millions.
inline constexpr Limit kMaxNetworkWork{"MASKWATCH_MAX_NETWORK_GMACS", 2000, 1 << 20,
                                       "thousand million products"};

// The value of the variable, or the usual one. std::runtime_error for what is not a whole number
// from 1 to the most.
std::int64_t value_of(const Limit& limit);

// "over the limit of 256 million pixels (MASKWATCH_MAX_MEGAPIXELS sets it)"
std::string over(const Limit& limit);

}  // namespace maskwatch
