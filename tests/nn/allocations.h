// Counts what this executable takes through operator new (allocations.cc replaces it).
#pragma once

#include <cstddef>

namespace maskwatch::nn_test {

struct Allocations {
  std::size_t calls = 0;
  std::size_t bytes = 0;
};
// Since the program began; take the difference of two.
Allocations allocations();

}  // namespace maskwatch::nn_test
