// What parallel_for costs: an empty loop, a loop of small tasks, and loops as a small network has
// them. Prints one line of medians in microseconds.
#include "base/parallel.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace {

using namespace maskwatch;

// Arithmetic that the compiler can neither drop nor do in advance; about a nanosecond a step.
void work(int steps) {
  volatile float value = 1;
  for (int i = 0; i < steps; ++i) value = value * .999f + .001f;
}

void empty_loop() {
  parallel_for(2, [](std::int64_t) {});
}

void small_tasks() {
  parallel_for(64, [](std::int64_t) { work(500); });
}

// 60 loops, one a layer: few tasks of different length, as the layers of MobileNetV2 have.
void network() {
  for (int layer = 0; layer < 60; ++layer)
    parallel_for(4 + layer % 5, [&](std::int64_t) { work(1000 + 300 * (layer % 7)); });
}

double median_microseconds(void (*run)(), int times) {
  std::vector<double> taken;
  for (int i = 0; i < times; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    taken.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
            .count());
  }
  std::nth_element(taken.begin(), taken.begin() + times / 2, taken.end());
  return taken[static_cast<std::size_t>(times / 2)];
}

}  // namespace

int main() {
  median_microseconds(network, 20);  // starts the threads
  std::printf("%10.1f %10.1f %10.1f\n", median_microseconds(empty_loop, 5000),
              median_microseconds(small_tasks, 1000), median_microseconds(network, 200));
}
