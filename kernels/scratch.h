// Memory that kernels work in, and the cache sizes that they cut their work by.
#pragma once

#include <cstddef>
#include <cstdint>

namespace maskwatch::kernels {

enum class Scratch { packed, task, partials, strip, activations, gradients };
constexpr int kScratchSlots = 6;

// `count` numbers, aligned to a cache line, for the calling thread: what it had in that slot
// before is lost. The memory stays with the thread, so a repeated call takes none.
float* scratch(Scratch slot, std::int64_t count);

struct CacheSizes {
  std::int64_t level1 = 32 << 10, level2 = 512 << 10;  // bytes, of data, for one core
  std::int64_t level3 = 0;                             // bytes that cores share; 0: not known
};

// This machine's, as the operating system tells; the values above where it does not.
const CacheSizes& cache_sizes();

}  // namespace maskwatch::kernels
