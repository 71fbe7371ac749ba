#include "nn/memory.h"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

namespace maskwatch::nn {
namespace {

constexpr std::size_t kAlignment = 64;
// Large blocks are asked for in whole pages of this size, so that those of like sizes serve each
// other.
constexpr std::size_t kLargePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

using Kind = std::pair<kernels::Device*, std::size_t>;  // and bytes

struct Pool {
  std::mutex mutex;
  std::map<Kind, std::vector<void*>> free;
  MemoryUse use;

  void* take(const Kind& kind) {
    std::lock_guard lock(mutex);
    const auto found = free.find(kind);
    if (found == free.end() || found->second.empty()) return nullptr;
    void* block = found->second.back();
    found->second.pop_back();
    use.pooled -= kind.second;
    return block;
  }

  void count_live(std::size_t bytes) {
    std::lock_guard lock(mutex);
    use.live += bytes;
    if (use.live > use.peak) use.peak = use.live;
  }

  void give_back(void* block, const Kind& kind) {
    std::lock_guard lock(mutex);
    use.live -= kind.second;
    use.pooled += kind.second;
    free[kind].push_back(block);
  }

  void release() {
    std::lock_guard lock(mutex);
    for (auto& [kind, blocks] : free)
      for (void* block : blocks) kind.first->release(block);
    free.clear();
    use.pooled = 0;
  }
};

// Never destroyed: tensors in static storage may outlive it.
Pool& pool() {
  static Pool* pool = new Pool;
  return *pool;
}

[[noreturn]] void fail_for_memory(const kernels::Device& device, std::size_t bytes) {
  if (device.on_host()) throw std::bad_alloc();
  throw std::runtime_error(fmt::format("{} has no {} MiB more memory (a smaller batch takes less)",
                                       device.name(), (bytes >> 20) + 1));
}

}  // namespace

std::shared_ptr<float> allocate(std::int64_t count, kernels::Device& device) {
  const std::size_t numbers = count > 0 ? static_cast<std::size_t>(count) : 1;
  if (numbers > (SIZE_MAX / 2) / sizeof(float)) throw std::bad_alloc();
  const std::size_t wanted = round_up(numbers * sizeof(float), kAlignment);
  const std::size_t bytes = wanted >= kLargePage ? round_up(wanted, kLargePage) : wanted;
  const Kind kind{&device, bytes};
  void* block = pool().take(kind);
  if (!block) block = device.allocate(bytes);
  if (!block) {
    release_pool();
    block = device.allocate(bytes);
  }
  if (!block) fail_for_memory(device, bytes);
  pool().count_live(bytes);
  return {static_cast<float*>(block), [kind](float* p) { pool().give_back(p, kind); }};
}

std::shared_ptr<float> allocate_staging(std::int64_t count, kernels::Device& device) {
  if (device.on_host()) return allocate(count, device);
  struct StagingPool {
    std::mutex mutex;
    std::map<Kind, std::vector<std::shared_ptr<void>>> free;
  };
  static StagingPool* staging = new StagingPool;  // never destroyed, as the other
  const std::size_t numbers = count > 0 ? static_cast<std::size_t>(count) : 1;
  const Kind kind{&device, round_up(numbers * sizeof(float), kAlignment)};
  std::shared_ptr<void> block;
  {
    std::lock_guard lock(staging->mutex);
    if (auto& free = staging->free[kind]; !free.empty()) {
      block = std::move(free.back());
      free.pop_back();
    }
  }
  if (!block) block = device.staging(kind.second);
  const auto give_back = [kind, block](float*) {
    std::lock_guard lock(staging->mutex);
    staging->free[kind].push_back(block);
  };
  return {static_cast<float*>(block.get()), give_back};
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
