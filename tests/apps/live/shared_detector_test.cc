// Who takes turns at a detector.
#include "apps/live/shared_detector.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

using namespace maskwatch;

TEST_CASE("whoever asks for a fair mutex first is served first") {
  apps::FairMutex turn;
  std::vector<int> served;
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(turn);
    for (int i = 0; i < 5; ++i) {
      threads.emplace_back([&, i] {
        const std::lock_guard mine(turn);
        served.push_back(i);
      });
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(served == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("one who always comes back at once does not starve the others") {
  constexpr int kTurns = 200;
  apps::FairMutex turn;
  std::atomic<int> ready{0}, turns{0};
  const auto work = [&](int& mine) {
    for (++ready; ready < 2;) std::this_thread::yield();
    while (turns < kTurns) {
      const std::lock_guard lock(turn);
      ++mine;
      ++turns;
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  };
  int one = 0, other = 0;
  std::thread first([&] { work(one); }), second([&] { work(other); });
  first.join();
  second.join();
  CHECK(std::min(one, other) > kTurns / 4);  // a machine that is busy may hold one up at first
}
