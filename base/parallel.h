// Loops over independent tasks on all threads. How work is cut into tasks must depend on shapes
// alone, never on the number of threads: then results are the same bytes on any machine with the
// same vector target. Two implementations, parallel_pool.cc and parallel_openmp.cc: -Dthreads
// chooses one when the project is built (docs/threads.md).
#pragma once

#include <cstdint>

namespace maskwatch {

// Threads that parallel_for uses; at first all cores, or OMP_NUM_THREADS.
int threads();
// count >= 1 (at most 256 are used), or 0 for all cores.
void set_threads(int count);
// Inside a parallel_for: which of its threads this is, 0 .. threads()-1; else 0. Two loops of two
// callers at once have the same indices: what a thread works with comes from a PerThread.
int thread_index();

void parallel_for(std::int64_t tasks, void (*run)(const void* body, std::int64_t task),
                  const void* body);

// body(task) for task = 0 .. tasks-1, in any order, on any thread; returns when all are done. One
// task alone, a loop inside a task of several, and a loop begun while another caller's runs stay on
// their caller's thread. A task must not throw: where other threads take part, that ends the
// program, for nothing could undo what they have done.
template <typename Body>
void parallel_for(std::int64_t tasks, const Body& body) {
  parallel_for(
      tasks, [](const void* b, std::int64_t task) { (*static_cast<const Body*>(b))(task); }, &body);
}

// body(begin, end) over [0, count) in pieces of `grain`.
template <typename Body>
void parallel_for_range(std::int64_t count, std::int64_t grain, const Body& body) {
  parallel_for((count + grain - 1) / grain, [&](std::int64_t task) {
    const std::int64_t begin = task * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

}  // namespace maskwatch
