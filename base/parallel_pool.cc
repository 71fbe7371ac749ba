// parallel_for over a pool of threads that serves one loop at a time (-Dthreads=pool). The caller
// works too, takes whatever no other thread has begun, and waits for begun tasks alone, so a thread
// that waits for a core of a busy machine holds up nobody.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/parallel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

namespace maskwatch {
namespace {

// How often to look for the next loop before sleeping: longer than the gap between two layers of a
// network.
constexpr int kSpins = 2000;

thread_local int current_index = 0;
thread_local bool in_loop = false;

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// The core that the calling thread runs on, or -1 where the system does not tell.
int current_core() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// Moves the calling thread off a core that the loop's caller needs: on a busy machine the scheduler
// wakes threads on the core of whoever wakes them, and leaves them there for many loops.
void leave_core([[maybe_unused]] int core) {
#if defined(__linux__)
  if (core < 0) return;
  // All that the process may use, but for this one.
  static const cpu_set_t all = [] {
    cpu_set_t set;
    if (sched_getaffinity(getpid(), sizeof set, &set) != 0) CPU_ZERO(&set);
    return set;
  }();
  cpu_set_t allowed = all;
  CPU_CLR(core, &allowed);
  if (CPU_COUNT(&allowed) > 0) sched_setaffinity(0, sizeof allowed, &allowed);
#endif
}

class Pool {
 public:
  // False if another thread's loop has the pool.
  bool run(std::int64_t tasks, int workers, void (*body_run)(const void*, std::int64_t),
           const void* body) {
    std::unique_lock owner(owner_, std::try_to_lock);
    if (!owner.owns_lock()) return false;
    add_threads(workers - 1);
    {
      const std::lock_guard lock(mutex_);
      run_ = body_run;
      body_ = body;
      tasks_ = tasks;
      next_.store(0, std::memory_order_relaxed);
      places_ = workers - 1;
      core_ = current_core();
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleeping_.load() > 0) wake_.notify_all();
    take_tasks(0);
    {
      const std::lock_guard lock(mutex_);
      places_ = 0;  // whoever comes now finds nothing left
    }
    for (int spins = 0; spins < kSpins && working_.load(std::memory_order_acquire) > 0; ++spins)
      pause_briefly();
    for (int left; (left = working_.load(std::memory_order_acquire)) > 0;) working_.wait(left);
    return true;
  }

 private:
  // As many as the system allows; a loop runs with fewer as well.
  void add_threads(int count) try {
    for (; started_ < count; ++started_) std::thread([this] { serve(); }).detach();
  } catch (const std::system_error&) {
  }

  void take_tasks(int index) noexcept {
    current_index = index;
    in_loop = true;
    for (std::int64_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;)
      run_(body_, task);
    in_loop = false;
    current_index = 0;
  }

  void serve() {
    std::uint64_t seen = 0;
    while (true) {
      wait_for_news(seen);
      int index = 0, core = 0;
      {
        const std::lock_guard lock(mutex_);
        seen = generation_.load(std::memory_order_relaxed);
        if (places_ == 0) continue;
        index = places_--;
        core = core_;
        working_.fetch_add(1, std::memory_order_relaxed);
      }
      if (core == current_core()) leave_core(core);
      take_tasks(index);
      working_.fetch_sub(1, std::memory_order_release);
      working_.notify_one();
    }
  }

  void wait_for_news(std::uint64_t seen) {
    for (int spins = 0; spins < kSpins; ++spins) {
      if (generation_.load(std::memory_order_acquire) != seen) return;
      pause_briefly();
    }
    std::unique_lock lock(mutex_);
    ++sleeping_;
    wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
    --sleeping_;
  }

  std::mutex owner_;  // held for the length of a loop
  int started_ = 0;

  std::mutex mutex_;  // guards the loop's description and places_
  std::condition_variable wake_;
  std::atomic<int> sleeping_{0};
  std::atomic<std::uint64_t> generation_{0};
  void (*run_)(const void*, std::int64_t) = nullptr;
  const void* body_ = nullptr;
  std::int64_t tasks_ = 0;
  int core_ = -1;   // the caller's
  int places_ = 0;  // threads that may still join; also the next one's index

  std::atomic<std::int64_t> next_{0};
  std::atomic<int> working_{0};
};

// Never destroyed: its threads wait in it until the process ends.
Pool& pool() {
  static Pool* pool = new Pool;
  return *pool;
}

}  // namespace

int thread_index() { return current_index; }

void parallel_for(std::int64_t tasks, void (*run)(const void* body, std::int64_t task),
                  const void* body) {
  const int workers = static_cast<int>(tasks < threads() ? tasks : threads());
  if (workers > 1 && !in_loop && pool().run(tasks, workers, run, body)) return;
  for (std::int64_t task = 0; task < tasks; ++task) run(body, task);
}

}  // namespace maskwatch
