// CRC-32 of ISO 3309, the check sum of PNG chunks.
#pragma once

#include <cstdint>
#include <span>

namespace maskwatch::vision {

std::uint32_t crc32(std::span<const std::uint8_t> bytes);

}  // namespace maskwatch::vision
