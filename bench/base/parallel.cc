// What parallel_for costs on all cores: an empty loop, a loop of small tasks, and loops as a small
// network has them. Prints one line in microseconds: the three medians, then the mean of the last,
// which waits for threads that lost their core count in.
#include "base/parallel.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
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

struct Times {
  double median, mean;
};

Times microseconds(void (*run)(), int times) {
  std::vector<double> taken;
  for (int i = 0; i < times; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    taken.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
            .count());
  }
  const double mean = std::accumulate(taken.begin(), taken.end(), 0.0) / times;
  std::nth_element(taken.begin(), taken.begin() + times / 2, taken.end());
  return {taken[static_cast<std::size_t>(times / 2)], mean};
}

}  // namespace

int main() {
  microseconds(network, 20);  // starts the threads
  const Times empty = microseconds(empty_loop, 5000), small = microseconds(small_tasks, 3000),
              layers = microseconds(network, 1000);
  std::printf("%10.1f %10.1f %10.1f %10.1f\n", empty.median, small.median, layers.median,
              layers.mean);
}
