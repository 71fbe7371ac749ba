#include "nn/memory.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace nn {
namespace {

constexpr std::size_t kAlignment = 64;

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
  const std::size_t bytes = (numbers * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
  float* block = pool().take(bytes);
  if (!block) block = static_cast<float*>(std::aligned_alloc(kAlignment, bytes));
  if (!block) {
    release_pool();
    block = static_cast<float*>(std::aligned_alloc(kAlignment, bytes));
  }
  if (!block) throw std::bad_alloc();
  pool().count_live(bytes);
  return {block, [bytes](float* p) { pool().give_back(p, bytes); }};
}

MemoryUse memory_use() {
  std::lock_guard lock(pool().mutex);
  return pool().use;
}

void release_pool() { pool().release(); }

}  // namespace nn
