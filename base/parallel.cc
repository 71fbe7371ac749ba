// The number of threads, whatever runs them.
#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

namespace maskwatch {
namespace {

constexpr int kMaxThreads = 256;

std::atomic<int> thread_count{0};

int threads_of_machine() {
  const char* wanted = std::getenv("OMP_NUM_THREADS");
  if (const int count = wanted ? std::atoi(wanted) : 0; count > 0)
    return std::min(count, kMaxThreads);
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(cores, 1, kMaxThreads);
}

}  // namespace

int threads() {
  static const int all = threads_of_machine();
  const int count = thread_count.load(std::memory_order_relaxed);
  return count > 0 ? std::min(count, kMaxThreads) : all;
}

void set_threads(int count) { thread_count.store(count, std::memory_order_relaxed); }

}  // namespace maskwatch
