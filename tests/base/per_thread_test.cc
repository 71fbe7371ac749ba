#include "base/per_thread.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "base/parallel.h"

using namespace maskwatch;

namespace {

struct Threads {
  explicit Threads(int count) { set_threads(count); }
  ~Threads() { set_threads(0); }
};

struct Slot {
  int number;
  std::atomic<int> users{0};
};

// Whether a loop's tasks ever share a slot. Each task stays a while, so that tasks overlap.
bool slots_are_shared(PerThread<Slot>& slots) {
  std::atomic<bool> shared{false};
  parallel_for(64, [&](std::int64_t) {
    const auto slot = slots.take();
    if (slot->users++ != 0) shared = true;
    for (int i = 0; i < 20; ++i) std::this_thread::yield();
    --slot->users;
  });
  return shared;
}

}  // namespace

TEST_CASE("each task at work has a slot of its own, and no more are made than threads") {
  const Threads scope(3);
  int made = 0;
  PerThread<Slot> slots([&] { return Slot{++made}; });
  CHECK(made == 1);
  for (int loop = 0; loop < 50; ++loop) CHECK_FALSE(slots_are_shared(slots));
  CHECK(made <= 3);
}

TEST_CASE("more threads than when the slots were made") {
  const Threads before(1);
  int made = 0;
  PerThread<Slot> slots([&] { return Slot{++made}; });
  CHECK_FALSE(slots_are_shared(slots));
  CHECK(made == 1);
  const Threads after(8);
  for (int loop = 0; loop < 50; ++loop) CHECK_FALSE(slots_are_shared(slots));
  CHECK(made <= 8);
}

TEST_CASE("callers with loops at once share no slot") {
  const Threads scope(2);
  int made = 0;
  PerThread<Slot> slots([&] { return Slot{++made}; });
  std::atomic<int> shared{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int loop = 0; loop < 50; ++loop) shared += slots_are_shared(slots);
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(shared == 0);
  CHECK(made <= 5);  // four callers, one helper
}

TEST_CASE("a slot taken twice on one thread is two; given back, it is taken again") {
  int made = 0;
  PerThread<int> numbers([&] { return ++made; }, 0);
  CHECK(made == 0);
  {
    const auto first = numbers.take(), second = numbers.take();
    CHECK(*first == 1);
    CHECK(*second == 2);
  }
  {
    const auto again = numbers.take();
    *again = 7;
  }
  CHECK(*numbers.take() == 7);
  CHECK(made == 2);
}

TEST_CASE("slots that are ready are not made again, also after their owner has moved") {
  int made = 0;
  PerThread<int> numbers([&] { return ++made; }, 3);
  CHECK(made == 3);
  PerThread<int> moved = std::move(numbers);
  {
    const auto a = moved.take(), b = moved.take(), c = moved.take();
    CHECK(*a + *b + *c == 6);
  }
  CHECK(made == 3);
}

TEST_CASE("what make throws comes out of the constructor") {
  const auto make = []() -> int { throw std::runtime_error("no such model"); };
  CHECK_THROWS_WITH_AS(PerThread<int>{make}, "no such model", std::runtime_error);
}
