// parallel_for over a team of OpenMP's (-Dthreads=openmp).
#include <omp.h>

#include <mutex>

#include "base/parallel.h"

namespace maskwatch {
namespace {

thread_local int current_index = 0;
thread_local bool in_loop = false;

// Held for the length of a loop. OpenMP would give each of several callers a team of its own, and
// together they would have more threads than the machine has cores.
std::mutex& owner() {
  static auto* mutex = new std::mutex;  // threads may use it until the process ends
  return *mutex;
}

void run_in_team(std::int64_t tasks, int workers, void (*run)(const void*, std::int64_t),
                 const void* body) noexcept {
#pragma omp parallel num_threads(workers)
  {
    current_index = omp_get_thread_num();
    in_loop = true;
#pragma omp for schedule(dynamic, 1)
    for (std::int64_t task = 0; task < tasks; ++task) run(body, task);
    in_loop = false;
    current_index = 0;
  }
}

}  // namespace

int thread_index() { return current_index; }

void parallel_for(std::int64_t tasks, void (*run)(const void* body, std::int64_t task),
                  const void* body) {
  const int workers = static_cast<int>(tasks < threads() ? tasks : threads());
  if (workers > 1 && !in_loop) {
    const std::unique_lock lock(owner(), std::try_to_lock);
    if (lock.owns_lock()) return run_in_team(tasks, workers, run, body);
  }
  for (std::int64_t task = 0; task < tasks; ++task) run(body, task);
}

}  // namespace maskwatch
