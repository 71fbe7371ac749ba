// Order, capacity and the end of a queue between two threads.
#include "apps/live/bounded_queue.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

using namespace maskwatch;

TEST_CASE("a bounded queue passes everything on in order, and ends") {
  apps::BoundedQueue<int> queue(3);
  std::thread giver([&] {
    for (int i = 0; i < 1000; ++i) queue.push(i);
    queue.close();
  });
  for (int i = 0; i < 1000; ++i) CHECK(queue.pop() == i);
  CHECK(!queue.pop());
  giver.join();
  CHECK(!queue.push(1));
  apps::BoundedQueue<int> small(1);
  CHECK(small.try_push(1));
  CHECK(!small.try_push(2));
  std::thread stuck([&] { CHECK(!small.push(2)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  small.close(true);
  stuck.join();
  CHECK(!small.pop());
}
