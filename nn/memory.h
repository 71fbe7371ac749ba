// Memory for tensors: 64-byte aligned blocks that are kept for reuse, since every training step
// asks for the same sizes again and fresh pages from the system are slow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace maskwatch::nn {

// A block of at least `count` floats, not cleared; it goes back to the pool with its last owner.
std::shared_ptr<float> allocate(std::int64_t count);

struct MemoryUse {
  std::size_t live = 0;    // bytes that tensors hold now
  std::size_t peak = 0;    // most bytes that tensors ever held
  std::size_t pooled = 0;  // bytes kept for reuse
};
MemoryUse memory_use();
// `peak` counts anew, from what is held now.
void reset_memory_peak();

// Gives what is kept for reuse back to the system.
void release_pool();

}  // namespace maskwatch::nn
