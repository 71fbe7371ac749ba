// Failures in a parallel loop reach the caller.
#include "apps/common/parallel_try.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>

#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

TEST_CASE("all tasks run, and the first failure is thrown") {
  for (const int count : {1, 3}) {
    set_threads(count);
    std::atomic<int> runs{0};
    const std::string fault = message_of([&] {
      apps::parallel_try(100, [&](std::size_t i) {
        ++runs;
        if (i % 10 == 7) throw std::runtime_error("task " + std::to_string(i));
      });
    });
    CHECK(fault == "task 7");
    CHECK(runs == 100);
  }
  set_threads(0);
  CHECK(message_of([] { apps::parallel_try(5, [](std::size_t) {}); }) == "");
}
