// Failures in a parallel loop reach the caller.
#include "base/parallel_try.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>

using namespace maskwatch;

TEST_CASE("all tasks run, and the first failure is thrown") {
  for (const int count : {1, 3}) {
    set_threads(count);
    std::atomic<int> runs{0};
    const auto run = [&] {
      parallel_try(100, [&](std::size_t i) {
        ++runs;
        if (i % 10 == 7) throw std::runtime_error("task " + std::to_string(i));
      });
    };
    CHECK_THROWS_WITH_AS(run(), "task 7", std::runtime_error);
    CHECK(runs == 100);
  }
  set_threads(0);
  std::atomic<int> runs{0};
  CHECK_NOTHROW(parallel_try(5, [&](std::size_t) { ++runs; }));
  CHECK(runs == 5);
}
