// Who is served together, and in which order.
#include "apps/live/batcher.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

using namespace maskwatch;

namespace {

using Batches = std::vector<std::vector<int>>;
using Batcher = apps::Batcher<int, std::string>;

std::vector<std::string> words(std::span<const int> requests) {
  std::vector<std::string> results;
  for (const int request : requests) results.push_back(std::to_string(request));
  return results;
}

void wait_for(const std::atomic<bool>& what) {
  while (!what) std::this_thread::yield();
}

// One is served while the others, 1 .. 5, ask one after the other, and do other(batcher) last. The
// batches that come of it; a result that is wrong or lost is an error.
Batches five_behind_one(std::size_t most, const std::function<void(Batcher&)>& other = {}) {
  Batches batches;
  std::atomic<bool> begun{false}, all_there{false};
  Batcher batcher(
      [&](std::span<const int> requests) {
        batches.emplace_back(requests.begin(), requests.end());
        begun = true;
        wait_for(all_there);
        return words(requests);
      },
      [&] { return most; });
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  const auto ask = [&](int i) {
    threads.emplace_back([&, i] { right += batcher.ask(i) == std::to_string(i); });
  };
  ask(0);
  wait_for(begun);
  for (int i = 1; i <= 5; ++i) {
    ask(i);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (other) threads.emplace_back([&] { other(batcher); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  all_there = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 6);
  return batches;
}

}  // namespace

TEST_CASE("what is asked for while a batch runs is the next one, in its order") {
  CHECK(five_behind_one(8) == Batches{{0}, {1, 2, 3, 4, 5}});
  CHECK(five_behind_one(2) == Batches{{0}, {1, 2}, {3, 4}, {5}});
  CHECK(five_behind_one(1) == Batches{{0}, {1}, {2}, {3}, {4}, {5}});
  CHECK(five_behind_one(0) == Batches{{0}, {1}, {2}, {3}, {4}, {5}});
}

TEST_CASE("what must be done alone comes between two batches, before those that wait") {
  std::atomic<bool> done{false};
  const Batches batches =
      five_behind_one(8, [&](Batcher& batcher) { batcher.alone([&] { done = true; }); });
  CHECK(done);
  CHECK(batches.size() == 2);

  std::atomic<int> inside{0};
  bool apart = true;
  Batcher counting(
      [&](std::span<const int> requests) {
        apart = apart && ++inside == 1;
        std::this_thread::yield();
        --inside;
        return words(requests);
      },
      [] { return 8; });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int turn = 0; turn < 200; ++turn) counting.ask(turn);
    });
  for (int turn = 0; turn < 50; ++turn)
    counting.alone([&] {
      apart = apart && ++inside == 1;
      --inside;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(apart);
}

TEST_CASE("a fault reaches all of its batch, and the next one is served") {
  std::atomic<bool> faulty{true};
  Batcher batcher(
      [&](std::span<const int> requests) {
        if (faulty) throw std::runtime_error("no memory");
        return words(requests);
      },
      [] { return 8; });
  CHECK_THROWS_WITH_AS(batcher.ask(1), "no memory", std::runtime_error);
  CHECK_THROWS_WITH_AS(batcher.alone([] { throw std::runtime_error("no file"); }), "no file",
                       std::runtime_error);
  faulty = false;
  CHECK(batcher.ask(2) == "2");
}

TEST_CASE("of a batch, a fault reaches the one that it is of") {
  std::atomic<bool> begun{false}, all_there{false};
  Batcher batcher(
      [&](std::span<const int> requests) {
        begun = true;
        wait_for(all_there);
        for (const int request : requests)
          if (request == 2) throw std::runtime_error("no picture");
        return words(requests);
      },
      [] { return 8; });
  std::atomic<int> right{0}, faults{0};
  std::vector<std::thread> threads;
  for (int i = 0; i <= 4; ++i) {
    threads.emplace_back([&, i] {
      try {
        right += batcher.ask(i) == std::to_string(i);
      } catch (const std::runtime_error& fault) {
        faults += i == 2 && fault.what() == std::string("no picture");
      }
    });
    if (i == 0) wait_for(begun);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  all_there = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 4);
  CHECK(faults == 1);
}

TEST_CASE("one who always comes back at once does not starve the others") {
  constexpr int kTurns = 200;
  Batcher batcher(
      [](std::span<const int> requests) {
        std::this_thread::sleep_for(std::chrono::microseconds(500));
        return words(requests);
      },
      [] { return 1; });
  std::atomic<int> ready{0}, turns{0};
  const auto work = [&](int& mine) {
    for (++ready; ready < 2;) std::this_thread::yield();
    for (; turns < kTurns; ++turns, ++mine) batcher.ask(0);
  };
  int one = 0, other = 0;
  std::thread first([&] { work(one); }), second([&] { work(other); });
  first.join();
  second.join();
  CHECK(std::min(one, other) > kTurns / 4);  // a machine that is busy may hold one up at first
}
