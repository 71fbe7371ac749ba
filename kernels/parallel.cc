#include "kernels/parallel.h"

#include <omp.h>

#include <atomic>

namespace kernels {
namespace {
std::atomic<int> thread_count{0};
}

int threads() {
  const int count = thread_count.load(std::memory_order_relaxed);
  return count > 0 ? count : omp_get_max_threads();
}

void set_threads(int count) { thread_count = count; }

int thread_index() { return omp_get_thread_num(); }

void parallel_for(std::int64_t tasks, void (*run)(const void* body, std::int64_t task),
                  const void* body) {
  const int workers = static_cast<int>(tasks < threads() ? tasks : threads());
  if (workers <= 1 || omp_in_parallel()) {
    for (std::int64_t task = 0; task < tasks; ++task) run(body, task);
    return;
  }
#pragma omp parallel for num_threads(workers) schedule(dynamic, 1)
  for (std::int64_t task = 0; task < tasks; ++task) run(body, task);
}

}  // namespace kernels
