// parallel_for whose body may throw: the first exception is thrown again when the loop has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <vector>

#include "base/parallel.h"

namespace maskwatch {

// body(i) for i = 0 .. count-1 on all threads. All are run; of the exceptions the one with the
// least i is thrown afterwards.
template <class Body>
void parallel_try(std::size_t count, const Body& body) {
  std::vector<std::exception_ptr> failures(count);
  parallel_for(static_cast<std::int64_t>(count), [&](std::int64_t task) {
    const auto i = static_cast<std::size_t>(task);
    try {
      body(i);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace maskwatch
