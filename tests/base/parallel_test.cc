#include "base/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace maskwatch;

namespace {

struct Threads {
  explicit Threads(int count) { set_threads(count); }
  ~Threads() { set_threads(0); }
};

// How often each of `tasks` ran in `loops` loops, from one thread.
bool every_task_runs_once(int loops, std::int64_t tasks) {
  for (int loop = 0; loop < loops; ++loop) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
    parallel_for(tasks, [&](std::int64_t task) { ++runs[static_cast<std::size_t>(task)]; });
    for (const auto& count : runs)
      if (count != 1) return false;
  }
  return true;
}

// Two tasks of which each waits for the other: on one thread this would never end.
void wait_for_each_other(std::atomic<int>& waiting) {
  parallel_for(2, [&](std::int64_t) {
    ++waiting;
    while (waiting < 2) std::this_thread::yield();
  });
}

}  // namespace

TEST_CASE("parallel_for runs every task once, for any number of threads") {
  for (const int threads : {1, 2, 3, 8}) {
    const Threads scope(threads);
    CHECK(maskwatch::threads() == threads);
    for (const std::int64_t tasks : {0, 1, 2, 3, 100}) CHECK(every_task_runs_once(300, tasks));
  }
}

TEST_CASE("loops inside loops run on their own thread") {
  const Threads scope(4);
  std::atomic<int> runs{0};
  std::atomic<bool> moved{false};
  parallel_for(16, [&](std::int64_t) {
    const auto outer = std::this_thread::get_id();
    parallel_for(10, [&](std::int64_t) {
      ++runs;
      if (std::this_thread::get_id() != outer) moved = true;
    });
  });
  CHECK(runs == 160);
  CHECK_FALSE(moved);
}

TEST_CASE("no two tasks at a time see one thread_index") {
  const Threads scope(4);
  std::atomic<int> inside[4] = {};
  std::atomic<bool> clash{false};
  for (int loop = 0; loop < 200; ++loop)
    parallel_for(32, [&](std::int64_t) {
      const int index = thread_index();
      if (index < 0 || index >= 4 || inside[index]++ != 0) clash = true;
      --inside[index];
    });
  CHECK_FALSE(clash);
  CHECK(thread_index() == 0);
}

TEST_CASE("a loop inside a loop of one task has threads of its own") {
  const Threads scope(3);
  CHECK(every_task_runs_once(1, 1));
  std::atomic<int> waiting{0};
  parallel_for(1, [&](std::int64_t) { wait_for_each_other(waiting); });
  CHECK(waiting == 2);
}

TEST_CASE("the number of threads may change between loops") {
  for (const int count : {1, 8, 2, 5, 300, 1, 3}) {
    const Threads scope(count);
    CHECK(maskwatch::threads() == (count == 300 ? 256 : count));
    std::atomic<bool> beyond{false};
    parallel_for(64, [&](std::int64_t) {
      if (thread_index() >= count) beyond = true;
    });
    CHECK_FALSE(beyond);
    CHECK(every_task_runs_once(20, 64));
  }
}

TEST_CASE("several threads take part") {
  const Threads scope(2);
  std::atomic<int> waiting{0};
  wait_for_each_other(waiting);
  CHECK(waiting == 2);
}

TEST_CASE("pieces of a range cover it once, the last one shorter") {
  const Threads scope(3);
  std::vector<std::atomic<int>> seen(100);
  parallel_for_range(100, 30, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  for (const auto& count : seen) CHECK(count == 1);
}

TEST_CASE("several threads may have loops at once") {
  const Threads scope(3);
  std::atomic<int> failures{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] { failures += !every_task_runs_once(500, 20); });
  for (std::thread& caller : callers) caller.join();
  CHECK(failures == 0);
}
