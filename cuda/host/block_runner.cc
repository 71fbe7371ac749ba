#include "cuda/host/block_runner.h"

#include <algorithm>
#include <array>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/random.h"

namespace maskwatch::simt {
namespace {

namespace context = boost::context;

// Unwinds a thread whose block has failed.
struct Abandoned {};

// Stacks of fibers, with a page behind them that cannot be touched.
struct RememberedStack {
  sanitizer::Stack* remembered;

  context::stack_context allocate() {
    context::stack_context stack = context::protected_fixedsize_stack(kBytes).allocate();
    remembered->bottom = static_cast<char*>(stack.sp) - stack.size;
    remembered->size = stack.size;
    return stack;
  }
  void deallocate(context::stack_context& stack) {
    context::protected_fixedsize_stack(kBytes).deallocate(stack);
  }

  static constexpr std::size_t kBytes = std::size_t{128} << 10;
};

constexpr unsigned char kUntouched = 0xff;  // a float of these bytes is NaN
constexpr std::size_t kFence = 256;         // bytes behind the shared memory

bool same(Where a, Where b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

dim3 index_of(std::uint64_t i, dim3 size) {
  return dim3(static_cast<unsigned>(i % size.x), static_cast<unsigned>(i / size.x % size.y),
              static_cast<unsigned>(i / size.x / size.y));
}

// The numbers 0 .. n-1 as the schedule takes them. Shuffled by a seed, so that a failure comes
// back.
void arrange(std::vector<int>& turns, int n, Order order, std::uint64_t seed) {
  turns.resize(n);
  std::iota(turns.begin(), turns.end(), 0);
  if (order == Order::backward) std::reverse(turns.begin(), turns.end());
  if (order != Order::shuffled) return;
  for (int i = n - 1; i > 0; --i)
    std::swap(turns[i], turns[random_bits(seed, i) % static_cast<std::uint64_t>(i + 1)]);
}

}  // namespace

std::string text(Where where) {
  return std::string(where.file ? where.file : "?") + ":" + std::to_string(where.line);
}

std::string text(dim3 index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " +
         std::to_string(index.z) + ")";
}

std::uint64_t count(dim3 size) { return std::uint64_t{size.x} * size.y * size.z; }

void BlockRunner::prepare(const Launch& launch, std::uint64_t number) {
  launch_ = &launch;
  number_ = number;
  threads_in_block_ = static_cast<int>(count(launch.block));
  blockIdx = index_of(number, launch.grid);
  if (indexed_for_.x != launch.block.x || indexed_for_.y != launch.block.y ||
      indexed_for_.z != launch.block.z) {
    indexed_for_ = launch.block;
    indices_.clear();
    for (int i = 0; i < threads_in_block_; ++i) indices_.push_back(index_of(i, launch.block));
  }
  if (static_cast<int>(threads_.size()) < threads_in_block_) threads_.resize(threads_in_block_);
  for (int i = 0; i < threads_in_block_; ++i) {
    Thread& t = threads_[i];
    t.state = Thread::State::waiting_to_start;
    t.copies.clear();
    t.groups.clear();
    t.ungrouped = 0;
  }
  if (!shared_memory_) {
    shared_memory_.reset(new unsigned char[kMostShared + 2 * kFence]);
    const auto address = reinterpret_cast<std::uintptr_t>(shared_memory_.get());
    shared_ = shared_memory_.get() + (kFence - address % kFence) % kFence;
  }
  std::memset(shared_, kUntouched, launch.shared_bytes + kFence);
  arrange(warp_turns_, (threads_in_block_ + kWarpLanes - 1) / kWarpLanes, order(), number);
}

void BlockRunner::run(const Launch& launch, std::uint64_t number) {
  prepare(launch, number);
  blockDim = launch.block;
  gridDim = launch.grid;
  try {
    for (run_warps(); !all_ended(); run_warps()) pass_barrier();
    check_fence();
  } catch (...) {
    abandon();
    throw;
  }
}

void BlockRunner::run_warps() {
  for (const int warp : warp_turns_) run_warp(warp);
}

// As far as the warp gets without the others: that leaves them behind as far as may be, and so
// finds what lacks a barrier.
void BlockRunner::run_warp(int warp) {
  warp_begin_ = warp * kWarpLanes;
  warp_lanes_ = std::min(kWarpLanes, threads_in_block_ - warp_begin_);
  arrange(lane_turns_, warp_lanes_, order(), number_ * kWarpLanes + warp);
  for (next_turn_ = 0; next_turn_ < warp_lanes_;) {
    if (threads_[warp_begin_ + lane_turns_[next_turn_]].state != Thread::State::waiting_to_start)
      break;
    resume(idle_worker());
  }
  for (bool again = true; again;) {
    again = false;
    for (const int lane : lane_turns_) {
      Thread& t = threads_[warp_begin_ + lane];
      if (t.state != Thread::State::ready) continue;
      again = true;
      current_ = warp_begin_ + lane;
      threadIdx = indices_[current_];
      resume(t.worker);
    }
    again = exchange_in(warp) || again;
  }
}

void BlockRunner::resume(Worker* worker) {
  switch_to(worker);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void BlockRunner::switch_to(Worker* worker) {
  void* own_frames = nullptr;
  sanitizer::begin_switch(&own_frames, worker->stack);
  worker->fiber = std::move(worker->fiber).resume();
  sanitizer::end_switch(own_frames);
}

// Comes back when the scheduler wants this fiber again.
void BlockRunner::return_to_scheduler(Worker* worker) {
  sanitizer::begin_switch(&worker->own_frames, worker->scheduler_stack);
  worker->scheduler = std::move(worker->scheduler).resume();
  worker->scheduler_stack = sanitizer::end_switch(worker->own_frames);
}

Worker* BlockRunner::idle_worker() {
  if (idle_.empty()) {
    workers_.push_back(std::make_unique<Worker>());
    Worker* worker = workers_.back().get();
    worker->fiber = context::fiber(std::allocator_arg, RememberedStack{&worker->stack},
                                   [this, worker](context::fiber&& scheduler) {
                                     worker->scheduler_stack = sanitizer::end_switch(nullptr);
                                     worker->scheduler = std::move(scheduler);
                                     work(worker);
                                     sanitizer::begin_switch(nullptr, worker->scheduler_stack);
                                     return std::move(worker->scheduler);
                                   });
    return worker;
  }
  Worker* worker = idle_.back();
  idle_.pop_back();
  return worker;
}

// The life of a fiber.
void BlockRunner::work(Worker* worker) {
  while (!abandoned_) {
    try {
      start_threads(worker);
    } catch (const Abandoned&) {
      return;
    } catch (...) {
      error_ = std::current_exception();
    }
    idle_.push_back(worker);
    return_to_scheduler(worker);
  }
}

// One after the other, until one of them has waited: then this fiber came back late, and others
// have started the rest.
void BlockRunner::start_threads(Worker* worker) {
  while (next_turn_ < warp_lanes_) {
    current_ = warp_begin_ + lane_turns_[next_turn_];
    Thread& t = threads_[current_];
    if (t.state != Thread::State::waiting_to_start) return;
    ++next_turn_;
    const int begun = current_;
    t.worker = worker;
    t.state = Thread::State::ready;
    threadIdx = indices_[current_];
    launch_->body(launch_->argument);
    threads_[begun].state = Thread::State::ended;
  }
}

void BlockRunner::suspend(Thread::State state, Where where) {
  const int mine = current_;
  Thread& t = threads_[mine];
  t.state = state;
  t.where = where;
  return_to_scheduler(t.worker);
  if (abandoned_) throw Abandoned();
}

void BlockRunner::fail(Where where, const std::string& what) const {
  throw KernelError(text(where) + ": " + what + " (thread " + text(threadIdx) + " of block " +
                    text(blockIdx) + ")");
}

// Whether all lanes that the mask of `lane` names, and that have not ended, wait with it.
bool BlockRunner::complete(int warp, int lane) const {
  const Thread& first = threads_[warp * kWarpLanes + lane];
  for (int other = 0; other < warp_lanes_; ++other) {
    if (!(first.mask >> other & 1)) continue;
    const Thread& t = threads_[warp * kWarpLanes + other];
    if (t.state == Thread::State::ended) continue;
    if (t.state != Thread::State::in_exchange || t.mask != first.mask ||
        t.what.combine != first.what.combine || !same(t.where, first.where))
      return false;
  }
  return true;
}

bool BlockRunner::exchange_in(int warp) {
  bool any = false;
  for (int lane = 0; lane < warp_lanes_; ++lane) {
    const Thread& first = threads_[warp_begin_ + lane];
    if (first.state != Thread::State::in_exchange || !complete(warp, lane)) continue;
    any = true;
    std::array<void*, kWarpLanes> payloads = {};
    const unsigned mask = first.mask;
    const auto combine = first.what.combine;
    for (int other = 0; other < warp_lanes_; ++other) {
      Thread& t = threads_[warp_begin_ + other];
      if (!(mask >> other & 1) || t.state != Thread::State::in_exchange) continue;
      payloads[other] = t.what.payload;
      t.state = Thread::State::ready;
    }
    if (combine) combine(payloads.data());
  }
  return any;
}

bool BlockRunner::all_ended() const {
  return std::all_of(threads_.begin(), threads_.begin() + threads_in_block_,
                     [](const Thread& t) { return t.state == Thread::State::ended; });
}

// Every warp is stuck here: at the barrier, or for good.
void BlockRunner::pass_barrier() {
  const Where where = threads_[0].where;
  for (int i = 0; i < threads_in_block_; ++i)
    if (threads_[i].state != Thread::State::at_barrier || !same(threads_[i].where, where))
      report_deadlock();
  for (int i = 0; i < threads_in_block_; ++i) threads_[i].state = Thread::State::ready;
}

void BlockRunner::report_deadlock() const {
  struct Group {
    const Thread* thread;
    int first, count;
  };
  std::vector<Group> groups;
  for (int i = 0; i < threads_in_block_; ++i) {
    const Thread& t = threads_[i];
    const auto known = std::find_if(groups.begin(), groups.end(), [&](const Group& g) {
      return g.thread->state == t.state &&
             (!t.waits() || (same(g.thread->where, t.where) && g.thread->mask == t.mask));
    });
    if (known != groups.end())
      ++known->count;
    else
      groups.push_back({&t, i, 1});
  }
  const bool barriers = std::all_of(groups.begin(), groups.end(), [](const Group& g) {
    return g.thread->state == Thread::State::at_barrier;
  });
  std::string what = barriers ? "threads of one block at different barriers" : "deadlock";
  for (const Group& g : groups) {
    what += "; " + std::to_string(g.count) + (g.count == 1 ? " thread" : " threads") + " (first " +
            text(indices_[g.first]) + ") ";
    if (g.thread->state == Thread::State::ended)
      what += "ended";
    else if (g.thread->state == Thread::State::at_barrier)
      what += "at the barrier " + text(g.thread->where);
    else
      what += "wait for lanes at " + text(g.thread->where);
  }
  const auto waiting =
      std::find_if(groups.begin(), groups.end(), [](const Group& g) { return g.thread->waits(); });
  throw KernelError(text(waiting->thread->where) + ": " + what + " (block " + text(blockIdx) + ")");
}

void BlockRunner::check_fence() const {
  const unsigned char* fence = shared_ + launch_->shared_bytes;
  if (std::any_of(fence, fence + kFence, [](unsigned char b) { return b != kUntouched; }))
    throw KernelError("a kernel wrote behind its " + std::to_string(launch_->shared_bytes) +
                      " bytes of dynamic shared memory (block " + text(blockIdx) + ")");
}

// Unwinds the threads that wait, and ends all fibers.
void BlockRunner::abandon() {
  abandoned_ = true;
  for (const auto& worker : workers_) switch_to(worker.get());
  abandoned_ = false;
  error_ = nullptr;
  idle_.clear();
  workers_.clear();
}

}  // namespace maskwatch::simt
