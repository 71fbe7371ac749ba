#include "vision/image/crc32.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <span>
#include <string_view>

using namespace maskwatch;

namespace {

std::uint32_t crc32_of(std::string_view text) {
  return vision::crc32({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace

// The check value of the CRC catalogue, and zlib.crc32 of Python.
TEST_CASE("crc32 gives the published check sums, of whole steps of eight and of the rest") {
  CHECK(crc32_of("") == 0);
  CHECK(crc32_of("123456789") == 0xCBF43926);
  CHECK(crc32_of("12345678") == 0x9AE0DAAF);
  CHECK(crc32_of("The quick brown fox jumps over the lazy dog") == 0x414FA339);
}
