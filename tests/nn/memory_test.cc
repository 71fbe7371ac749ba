#include "nn/memory.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <new>

#include "nn/tensor.h"

using namespace maskwatch;

using namespace nn;

TEST_CASE("memory is taken from the pool again, aligned to 64 bytes") {
  release_pool();
  CHECK(memory_use().pooled == 0);
  float* block = nullptr;
  {
    const Tensor a = Tensor::empty({1000});
    block = a.data();
    CHECK(reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
  }
  CHECK(memory_use().pooled == 4032);
  const Tensor b = Tensor::empty({10, 100});
  CHECK(b.data() == block);
  CHECK(memory_use().pooled == 0);
}

TEST_CASE("memory that cannot be had is refused and not counted") {
  const MemoryUse before = memory_use();
  CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 60}), std::bad_alloc);
  CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 46}), std::bad_alloc);  // 256 TiB
  CHECK(memory_use().live == before.live);
  CHECK(memory_use().peak == before.peak);
}
