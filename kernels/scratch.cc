#include "kernels/scratch.h"

#include <hwy/aligned_allocator.h>
#include <unistd.h>

#include <array>

namespace maskwatch::kernels {
namespace {

struct Buffer {
  hwy::AlignedFreeUniquePtr<float[]> numbers;
  std::int64_t count = 0;
};

[[maybe_unused]] std::int64_t system_value(int name, std::int64_t otherwise) {
  const long value = sysconf(name);
  return value > 0 ? value : otherwise;
}

}  // namespace

float* scratch(Scratch slot, std::int64_t count) {
  thread_local std::array<Buffer, kScratchSlots> buffers;
  Buffer& buffer = buffers[static_cast<std::size_t>(slot)];
  if (buffer.count < count) {
    buffer.numbers.reset();
    buffer.count = 0;
    buffer.numbers = hwy::AllocateAligned<float>(static_cast<std::size_t>(count));
    if (!buffer.numbers) throw std::bad_alloc();
    buffer.count = count;
  }
  return buffer.numbers.get();
}

const CacheSizes& cache_sizes() {
  static const CacheSizes sizes = [] {
    CacheSizes found;
#ifdef _SC_LEVEL1_DCACHE_SIZE
    found.level1 = system_value(_SC_LEVEL1_DCACHE_SIZE, found.level1);
    found.level2 = system_value(_SC_LEVEL2_CACHE_SIZE, found.level2);
    found.level3 = system_value(_SC_LEVEL3_CACHE_SIZE, found.level3);
#endif
    return found;
  }();
  return sizes;
}

}  // namespace maskwatch::kernels
