#include "nn/memory.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace maskwatch::nn {
namespace {

constexpr std::size_t kAlignment = 64;
// Blocks of this size on are aligned to it and asked of the system in pages of this size: a pass
// over a batch's activations then finds its addresses in the TLB.
constexpr std::size_t kLargePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

std::size_t alignment_of(std::size_t bytes) {
  return bytes >= kLargePage ? kLargePage : kAlignment;
}

// Null where there is no memory. `bytes`: a multiple of its alignment.
float* take_from_system(std::size_t bytes) {
  void* block = std::aligned_alloc(alignment_of(bytes), bytes);
#ifdef MADV_HUGEPAGE
  if (block && bytes >= kLargePage) madvise(block, bytes, MADV_HUGEPAGE);  // a wish: may fail
#endif
  return static_cast<float*>(block);
}

struct Pool {
  std::mutex mutex;
  std::map<std::size_t, std::vector<float*>> free;  // by size in bytes
  MemoryUse use;

  float* take(std::size_t bytes) {
    std::lock_guard lock(mutex);
    const auto found = free.find(bytes);
    if (found == free.end() || found->second.empty()) return nullptr;
    float* block = found->second.back();
    found->second.pop_back();
    use.pooled -= bytes;
    return block;
  }

  void count_live(std::size_t bytes) {
    std::lock_guard lock(mutex);
    use.live += bytes;
    if (use.live > use.peak) use.peak = use.live;
  }

  void give_back(float* block, std::size_t bytes) {
    std::lock_guard lock(mutex);
    use.live -= bytes;
    use.pooled += bytes;
    free[bytes].push_back(block);
  }

  void release() {
    std::lock_guard lock(mutex);
    for (auto& [bytes, blocks] : free)
      for (float* block : blocks) std::free(block);
    free.clear();
    use.pooled = 0;
  }
};

// Never destroyed: tensors in static storage may outlive it.
Pool& pool() {
  static Pool* pool = new Pool;
  return *pool;
}

}  // namespace

std::shared_ptr<float> allocate(std::int64_t count) {
  const std::size_t numbers = count > 0 ? static_cast<std::size_t>(count) : 1;
  if (numbers > (SIZE_MAX / 2) / sizeof(float)) throw std::bad_alloc();
  const std::size_t wanted = round_up(numbers * sizeof(float), kAlignment);
  const std::size_t bytes = round_up(wanted, alignment_of(wanted));
  float* block = pool().take(bytes);
  if (!block) block = take_from_system(bytes);
  if (!block) {
    release_pool();
    block = take_from_system(bytes);
  }
  if (!block) throw std::bad_alloc();
  pool().count_live(bytes);
  return {block, [bytes](float* p) { pool().give_back(p, bytes); }};
}

MemoryUse memory_use() {
  std::lock_guard lock(pool().mutex);
  return pool().use;
}

void reset_memory_peak() {
  std::lock_guard lock(pool().mutex);
  pool().use.peak = pool().use.live;
}

void release_pool() { pool().release(); }

}  // namespace maskwatch::nn
