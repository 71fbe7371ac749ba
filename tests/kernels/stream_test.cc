// Outputs beyond the caches take another path through memory; it must give the same bytes.
#include <doctest/doctest.h>
#include <hwy/aligned_allocator.h>

#include <cstring>
#include <random>
#include <vector>

#include "kernels/table.h"

using namespace maskwatch;

namespace {

constexpr std::int64_t channels = 24, rows = 170'000, count = rows * channels;
static_assert(count > 4'000'000);

hwy::AlignedFreeUniquePtr<float[]> random_numbers(unsigned seed) {
  auto numbers = hwy::AllocateAligned<float>(count + 1);
  std::mt19937 random(seed);
  for (std::int64_t i = 0; i <= count; ++i)
    numbers[i] = static_cast<float>(random() % 2001) / 100.0f - 10.0f;
  return numbers;
}

// run(y, first, n): rows [first, first + n) of the output, written to y. All at once, aligned and
// not, must be what the parts are.
template <typename Run>
void check_against_parts(const Run& run) {
  auto whole = hwy::AllocateAligned<float>(count + 2);
  std::vector<float> parts(count);
  constexpr std::int64_t part = rows / 10;
  for (std::int64_t first = 0; first < rows; first += part)
    run(parts.data() + first * channels, first, part);
  for (const int offset : {0, 1}) {
    whole[count + offset] = 7;
    run(whole.get() + offset, 0, rows);
    CHECK(std::memcmp(whole.get() + offset, parts.data(), count * sizeof(float)) == 0);
    CHECK(whole[count + offset] == 7);
  }
}

}  // namespace

TEST_CASE("large outputs have the bytes of small ones") {
  const auto x = random_numbers(1), other = random_numbers(2);
  const std::vector<float> parameter(channels, 1.5f);
  for (const std::string& target : kernels::targets()) {
    INFO("target " << target);
    const kernels::Table<float>& k = kernels::cpu(target);
    check_against_parts([&](float* y, std::int64_t first, std::int64_t n) {
      k.relu6_backward(y, &other[first * channels], &x[first * channels], n * channels);
    });
    check_against_parts([&](float* y, std::int64_t first, std::int64_t n) {
      k.add(y, &other[first * channels], &x[first * channels], n * channels);
    });
    check_against_parts([&](float* y, std::int64_t first, std::int64_t n) {
      k.batch_norm(y, &x[first * channels], parameter.data(), parameter.data(), parameter.data(),
                   parameter.data(), 1e-3, kernels::Activation::relu6, {n, channels});
    });
  }
}
