// FNV-1a of 64 bits (Fowler, Noll and Vo), for bytes that arrive piece by piece. It tells contents
// apart that differ by accident; it is no defence against contents made to collide.
#pragma once

#include <cstdint>
#include <string_view>

namespace maskwatch {

class Fnv1a {
 public:
  constexpr Fnv1a& add(std::string_view bytes) {
    for (const char byte : bytes)
      value_ = (value_ ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
    return *this;
  }
  // The eight bytes of `number`, lowest first on every machine.
  constexpr Fnv1a& add(std::uint64_t number) {
    for (int byte = 0; byte < 8; ++byte) {
      const char c = static_cast<char>(number >> (8 * byte));
      add({&c, 1});
    }
    return *this;
  }

  // Of all bytes so far.
  constexpr std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325u;
};

}  // namespace maskwatch
