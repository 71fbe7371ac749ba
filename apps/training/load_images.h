// Decodes a data set into memory, on all threads of all ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/common/dataset.h"
#include "kernels/communicator.h"

namespace maskwatch::apps {

struct LoadOptions {
  // Bytes that the pixels may take; 0: half of the machine's memory.
  std::size_t memory_limit = 0;
  // Called after each image, from any thread but from one at a time.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
  // Its ranks share the decoding out, and each gets all pixels. Null: this process does it all.
  kernels::Communicator* communicator = nullptr;
};

struct LoadedDataset {
  Dataset dataset;  // without the broken images
  int size = 0;
  std::vector<std::uint8_t> pixels;  // [images, size, size, 3], RGB
  std::vector<SkippedFile> broken;   // images that cannot be decoded; the reason names the file

  const std::uint8_t* image(int index) const {
    return pixels.data() + static_cast<std::size_t>(index) * image_bytes();
  }
  std::size_t image_bytes() const { return static_cast<std::size_t>(size) * size * 3; }
};

// Decodes every image and scales it to size x size, on all threads; the aspect ratio is not kept,
// as in the original. The pixels stay in memory as 8-bit RGB: images * size * size * 3 bytes.
// Throws std::invalid_argument for size < 1, and std::runtime_error when that is more than the
// limit, or when a class has no readable image; RankFault where another rank is lost.
LoadedDataset load_images(const Dataset& dataset, int size, const LoadOptions& options = {});

}  // namespace maskwatch::apps
