// Who takes turns at a detector.
#include "apps/live/shared_detector.h"

#include <doctest/doctest.h>

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
  apps::FairMutex turn;
  std::atomic<bool> stop{false};
  std::atomic<int> greedy{0}, modest{0};
  const auto work = [&](std::atomic<int>& turns) {
    while (!stop) {
      const std::lock_guard mine(turn);
      ++turns;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  std::thread one([&] { work(greedy); }), other([&] { work(modest); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  stop = true;
  one.join();
  other.join();
  CHECK(greedy > 5);
  CHECK(std::abs(greedy - modest) <= 2);
}
