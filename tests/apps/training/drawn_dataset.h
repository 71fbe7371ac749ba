// A small data set in memory: dark images of class "dark", bright ones of class "bright", in turn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/training/load_images.h"

namespace maskwatch {

// Image i is evenly of value 20 + i or 200 + i, so that each can be told from the others.
inline apps::LoadedDataset dark_and_bright(int count, int size) {
  apps::LoadedDataset data;
  data.dataset.classes = {"bright", "dark"};
  data.size = size;
  for (int i = 0; i < count; ++i) {
    const bool dark = i % 2 == 1;
    const std::string name = (dark ? "dark/" : "bright/") + std::to_string(i) + ".png";
    data.dataset.images.push_back({name, name, dark ? 1 : 0, i, static_cast<std::uint64_t>(i)});
    data.pixels.insert(data.pixels.end(), data.image_bytes(),
                       static_cast<std::uint8_t>((dark ? 20 : 200) + i));
  }
  return data;
}

}  // namespace maskwatch
