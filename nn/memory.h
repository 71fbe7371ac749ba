// Memory for tensors: blocks of a device that are kept for reuse, since every training step asks
// for the same sizes again and fresh memory from the system is slow. The same requests in the same
// order are given the same addresses, which what a device has recorded relies on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/device.h"

namespace maskwatch::nn {

// A block of at least `count` floats, aligned to 64 bytes, not cleared; it goes back to the pool
// with its last owner. std::bad_alloc where the host has no more memory, std::runtime_error where
// another device has none. The device must outlive the block.
std::shared_ptr<float> allocate(std::int64_t count, kernels::Device& device);

// Memory of the host from which copies to `device` are fastest (kernels::Device::staging), kept for
// reuse likewise. A copy from it must be over before the last owner lets it go.
std::shared_ptr<float> allocate_staging(std::int64_t count, kernels::Device& device);

// Of all devices together; staging memory is not counted.
struct MemoryUse {
  std::size_t live = 0;    // bytes that tensors hold now
  std::size_t peak = 0;    // most bytes that tensors ever held
  std::size_t pooled = 0;  // bytes kept for reuse
};
MemoryUse memory_use();
// `peak` counts anew, from what is held now.
void reset_memory_peak();

// Gives what is kept for reuse back to the devices.
void release_pool();

}  // namespace maskwatch::nn
