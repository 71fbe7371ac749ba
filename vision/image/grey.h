// Y of BT.601 from RGB bytes, in the fixed-point arithmetic of OpenCV's COLOR_RGB2GRAY.
#pragma once

#include <cstddef>
#include <cstdint>

namespace maskwatch::vision {

// `rgb` holds `count` pixels of three bytes, `grey` as many of one.
void rgb_to_grey(const std::uint8_t* rgb, std::size_t count, std::uint8_t* grey);

}  // namespace maskwatch::vision
