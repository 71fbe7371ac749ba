#include "vision/image/crc32.h"

#include <array>
#include <cstddef>

namespace maskwatch::vision {
namespace {

// Eight table steps at a time.
struct CrcTables {
  std::array<std::array<std::uint32_t, 256>, 8> step{};
  CrcTables() {
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
      step[0][i] = value;
    }
    for (std::size_t i = 0; i < 256; ++i)
      for (std::size_t s = 1; s < 8; ++s)
        step[s][i] = step[s - 1][i] >> 8 ^ step[0][step[s - 1][i] & 255];
  }
};

}  // namespace

std::uint32_t crc32(std::span<const std::uint8_t> bytes) {
  static const CrcTables tables;
  const auto& t = tables.step;
  std::uint32_t crc = 0xFFFFFFFFu;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    const std::uint8_t* p = &bytes[i];
    crc ^= p[0] | p[1] << 8 | p[2] << 16 | std::uint32_t{p[3]} << 24;
    crc = t[7][crc & 255] ^ t[6][crc >> 8 & 255] ^ t[5][crc >> 16 & 255] ^ t[4][crc >> 24] ^
          t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
  }
  for (; i < bytes.size(); ++i) crc = crc >> 8 ^ t[0][(crc ^ bytes[i]) & 255];
  return ~crc;
}

}  // namespace maskwatch::vision
