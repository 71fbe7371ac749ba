// Runs one block of a kernel after the other, each thread in a fiber (cuda/host/executor.h).
#pragma once

#include <boost/context/fiber.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "cuda/host/executor.h"
#include "cuda/host/sanitizer.h"

namespace maskwatch::simt {

constexpr int kWarpLanes = 32;
constexpr std::size_t kMostShared = std::size_t{227} << 10;

// "file:line"
std::string text(Where where);
// "(x, y, z)"
std::string text(dim3 index);
std::uint64_t count(dim3 size);

struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes;
  void (*body)(const void*);
  const void* argument;
};

struct Worker;

struct Thread {
  enum class State { waiting_to_start, ready, at_barrier, in_exchange, ended };
  State state = State::waiting_to_start;
  Worker* worker = nullptr;
  Where where;
  unsigned mask = 0;
  Exchange what = {};
  std::vector<AsyncCopy> copies;  // queued
  std::vector<int> groups;        // copies in each, in their order
  int ungrouped = 0;

  bool waits() const { return state == State::at_barrier || state == State::in_exchange; }
};

// A fiber, and the thread whose call lies on its stack.
struct Worker {
  boost::context::fiber fiber, scheduler;
  sanitizer::Stack stack, scheduler_stack;
  void* own_frames = nullptr;  // the sanitizer's
};

// What one thread of the host runs blocks with. Fibers and shared memory are kept for the next.
class BlockRunner {
 public:
  BlockRunner() = default;
  BlockRunner(const BlockRunner&) = delete;
  BlockRunner& operator=(const BlockRunner&) = delete;
  ~BlockRunner() { abandon(); }

  // Throws what the first of the block's threads threw. `number`: of the block in its grid.
  void run(const Launch& launch, std::uint64_t number);

  // Of the thread that runs.
  int lane() const { return current_ % kWarpLanes; }
  Thread& thread() { return threads_[current_]; }
  void* shared() { return shared_; }
  void suspend(Thread::State state, Where where);
  [[noreturn]] void fail(Where where, const std::string& what) const;

 private:
  void prepare(const Launch& launch, std::uint64_t number);
  void run_warps();
  void run_warp(int warp);
  void resume(Worker* worker);
  void switch_to(Worker* worker);
  void return_to_scheduler(Worker* worker);
  void start_threads(Worker* worker);
  Worker* idle_worker();
  void work(Worker* worker);
  bool exchange_in(int warp);
  bool complete(int warp, int lane) const;
  bool all_ended() const;
  void pass_barrier();
  [[noreturn]] void report_deadlock() const;
  void check_fence() const;
  void abandon();

  const Launch* launch_ = nullptr;
  dim3 indexed_for_ = dim3(0, 0, 0);
  std::vector<dim3> indices_;
  std::vector<Thread> threads_;
  std::vector<int> warp_turns_, lane_turns_;
  int threads_in_block_ = 0, warp_begin_ = 0, warp_lanes_ = 0, next_turn_ = 0, current_ = 0;
  std::uint64_t number_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> idle_;
  std::unique_ptr<unsigned char[]> shared_memory_;
  unsigned char* shared_ = nullptr;
  std::exception_ptr error_;
  bool abandoned_ = false;
};

}  // namespace maskwatch::simt
