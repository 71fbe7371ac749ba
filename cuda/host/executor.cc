#include "cuda/host/executor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "cuda/host/block_runner.h"
#include "cuda/host/stream.h"

namespace maskwatch::simt {
namespace {

constexpr unsigned kMostThreads = 1024;

// Of the block that this thread of the host runs; null outside of kernels.
thread_local BlockRunner* runner = nullptr;

BlockRunner& own_runner() {
  static thread_local BlockRunner own;
  return own;
}

void check_launch(const Launch& l) {
  const auto refuse = [](const std::string& what) { throw KernelError("launch: " + what); };
  if (count(l.block) == 0) refuse("a block without threads");
  if (count(l.block) > kMostThreads || l.block.z > 64)
    refuse("a block of " + text(l.block) + " threads; a GPU has at most 1024, 64 of them deep");
  if (l.shared_bytes > kMostShared)
    refuse(std::to_string(l.shared_bytes) + " bytes of shared memory; a block has at most 227 KiB");
  if (l.grid.x > 0x7fffffffu || l.grid.y > 65535 || l.grid.z > 65535)
    refuse("a grid of " + text(l.grid) + " blocks; a GPU has at most (2147483647, 65535, 65535)");
  if (runner) refuse("from inside a kernel");
}

// Shared out over threads in pieces, each block from begin to end on one.
void run_blocks(const Launch& launch) {
  const std::uint64_t blocks = count(launch.grid);
  constexpr std::uint64_t most_tasks = 64;
  const std::uint64_t grain = (blocks + most_tasks - 1) / most_tasks;
  const Order turns = order();
  std::mutex mutex;
  std::uint64_t failed = std::numeric_limits<std::uint64_t>::max();
  std::exception_ptr error;
  parallel_for(static_cast<std::int64_t>((blocks + grain - 1) / grain), [&](std::int64_t task) {
    const std::uint64_t begin = static_cast<std::uint64_t>(task) * grain;
    const std::uint64_t end = std::min(begin + grain, blocks);
    BlockRunner& own = own_runner();
    runner = &own;
    for (std::uint64_t i = begin; i < end; ++i) {
      const std::uint64_t number = turns == Order::forward ? i : blocks - 1 - i;
      try {
        own.run(launch, number);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (number < failed) failed = number, error = std::current_exception();
        break;
      }
    }
    runner = nullptr;
  });
  if (error) std::rethrow_exception(error);
}

Order& current_order() {
  static Order current = [] {
    const char* name = std::getenv("SIMT_ORDER");
    const std::string wanted = name ? name : "";
    if (wanted.empty() || wanted == "forward") return Order::forward;
    if (wanted == "backward") return Order::backward;
    if (wanted == "shuffled") return Order::shuffled;
    throw std::runtime_error("SIMT_ORDER=" + wanted + ": forward, backward or shuffled");
  }();
  return current;
}

}  // namespace

Order order() { return current_order(); }
void set_order(Order order) { current_order() = order; }

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*body)(const void*),
              const void* argument, std::size_t argument_bytes) {
  const auto* bytes = static_cast<const std::byte*>(argument);
  Launch launch = {grid, block, shared_bytes, body, nullptr};
  check_launch(launch);
  if (count(grid) == 0) return;
  enqueue([launch, copied = std::vector(bytes, bytes + argument_bytes)] {
    Launch ready = launch;
    ready.argument = copied.data();
    run_blocks(ready);
  });
}

int lane() { return runner->lane(); }
void* block_memory() { return runner->shared(); }
void wait_for_block(Where where) { runner->suspend(Thread::State::at_barrier, where); }

void exchange(unsigned mask, Exchange what, Where where) {
  if (!(mask >> runner->lane() & 1))
    runner->fail(where, "lane " + std::to_string(runner->lane()) + " is missing from its own mask");
  Thread& t = runner->thread();
  t.mask = mask;
  t.what = what;
  runner->suspend(Thread::State::in_exchange, where);
}

void queue_copy(const AsyncCopy& copy, Where where) {
  if (reinterpret_cast<std::uintptr_t>(copy.to) % copy.size != 0 ||
      reinterpret_cast<std::uintptr_t>(copy.from) % copy.size != 0)
    runner->fail(where, "an asynchronous copy of " + std::to_string(copy.size) +
                            " bytes between addresses that are not multiples of that");
  if (copy.bytes < 0 || copy.bytes > copy.size)
    runner->fail(where, "an asynchronous copy of " + std::to_string(copy.bytes) + " of " +
                            std::to_string(copy.size) + " bytes");
  runner->thread().copies.push_back(copy);
  ++runner->thread().ungrouped;
}

void end_copy_group() {
  Thread& t = runner->thread();
  t.groups.push_back(std::exchange(t.ungrouped, 0));
}

void finish_copies(int pending) {
  Thread& t = runner->thread();
  const std::size_t finished = t.groups.size() - std::min<std::size_t>(t.groups.size(), pending);
  const auto groups_end = t.groups.begin() + static_cast<std::ptrdiff_t>(finished);
  const auto end = t.copies.begin() + std::accumulate(t.groups.begin(), groups_end, 0);
  for (auto copy = t.copies.begin(); copy != end; ++copy) {
    std::memset(copy->to, 0, static_cast<std::size_t>(copy->size));
    std::memcpy(copy->to, copy->from, static_cast<std::size_t>(copy->bytes));
  }
  t.copies.erase(t.copies.begin(), end);
  t.groups.erase(t.groups.begin(), groups_end);
}

}  // namespace maskwatch::simt
