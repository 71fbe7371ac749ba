// Items come back to the pool with their memory.
#include "apps/live/recycling_pool.h"

#include <doctest/doctest.h>

#include <set>
#include <vector>

using namespace maskwatch;

TEST_CASE("a pool gives back what was used, memory and all") {
  apps::RecyclingPool<std::vector<int>> pool;
  const int* memory = nullptr;
  {
    const auto item = pool.take();
    item->resize(1000);
    memory = item->data();
    CHECK(pool.take()->empty());
  }
  std::set<const int*> seen{pool.take()->data()};
  const auto one = pool.take(), two = pool.take();
  CHECK((one->data() == memory || two->data() == memory));
}
