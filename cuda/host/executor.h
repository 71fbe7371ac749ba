// Runs CUDA kernels on the CPU, to test them where there is no GPU. A thread of a block runs as a
// plain call inside a fiber until it meets a barrier; then the next one runs. Blocks are shared out
// over the threads of base/parallel, each block with all its fibers on one of them.
//
// A KernelError, with file and line, comes of what a GPU answers with rubbish or never: threads at
// different barriers, deadlocks, a lane that is missing from its own mask, misaligned asynchronous
// copies, blocks or shared memory that no GPU offers, writes behind the shared memory. Dynamic
// shared memory is NaN before each block. It cannot see memory order across blocks, bank conflicts
// or speed, nor races that none of its three schedules uncovers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace maskwatch::simt {

class KernelError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

struct dim3 {
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  unsigned x, y, z;
};

// Of the thread that runs.
inline constinit thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

// In which order the blocks of a grid, the warps of a block and the lanes of a warp take their
// turns. The environment's SIMT_ORDER is the first one's name: forward, backward or shuffled.
enum class Order { forward, backward, shuffled };
Order order();
void set_order(Order order);

// Queues body(argument) for every thread of the grid (cuda/host/stream.h); `argument` is copied.
// Throws what the first block to fail threw.
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*body)(const void*),
              const void* argument, std::size_t argument_bytes);

// --- For the words of cuda/host/words.h, inside a kernel ---

// A place in a source.
struct Where {
  const char* file = nullptr;
  int line = 0;
};

int lane();
// The block's dynamic shared memory, aligned to 256 bytes.
void* block_memory();
void wait_for_block(Where where);

// What all lanes of a mask do together. combine(payloads, mask): payloads[lane], null for lanes
// that are not in `mask` or have ended.
struct Exchange {
  void (*combine)(void* const* payloads);
  void* payload;
};
// Waits for the lanes of `mask` at the same place, then one of them combines for all.
void exchange(unsigned mask, Exchange what, Where where);

struct AsyncCopy {
  void* to;
  const void* from;
  int size, bytes;
};
void queue_copy(const AsyncCopy& copy, Where where);
void end_copy_group();
void finish_copies(int pending);

}  // namespace maskwatch::simt
