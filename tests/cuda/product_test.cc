// The product behind all products (cuda/product.h), on tiles that the shapes of tests/kernels are
// too small to reach, and how long sums are cut.
#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "cuda/host/simt_device.h"
#include "cuda/multiply.h"
#include "tests/check.h"

namespace maskwatch::simt {
namespace {

std::vector<float> random_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& x : values) x = normal(random);
  return values;
}

// Memory of the device with these values.
class OnDevice {
 public:
  explicit OnDevice(const std::vector<float>& values) : size_(values.size() * sizeof(float)) {
    memory_ = static_cast<float*>(device().allocate(size_));
    device().copy_in(memory_, values.data(), size_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { device().release(memory_); }

  float* data() const { return memory_; }
  std::vector<float> values() const {
    std::vector<float> result(size_ / sizeof(float));
    device().copy_out(result.data(), memory_, size_);
    return result;
  }

 private:
  std::size_t size_;
  float* memory_;
};

struct Problem {
  static constexpr int m = 150, n = 70, k = 60;

  std::vector<float> a = random_values(m * k, 1), b = random_values(k * n, 2);

  // `actual` is a · b, up to the roundings of a sum and of 3xTF32 (tests/cuda/operations_test.cc).
  void check(const std::vector<float>& actual) const {
    std::vector<double> expected(m * n), bound(m * n);
    for (int i = 0; i < m; ++i)
      for (int p = 0; p < k; ++p)
        for (int j = 0; j < n; ++j) {
          const double product = static_cast<double>(a[i * k + p]) * b[p * n + j];
          expected[i * n + j] += product;
          bound[i * n + j] += std::abs(product);
        }
    constexpr double epsilon = std::numeric_limits<float>::epsilon();
    CHECK(check::difference_by(std::span<const float>(actual), std::span<const double>(expected),
                               [&](std::size_t i) {
                                 return check::rounding_bound(k + 4, epsilon, bound[i]);
                               }) == "");
  }
};

template <typename Tile>
void check_tile(bool tensor_cores) {
  const Problem problem;
  const OnDevice a(problem.a), b(problem.b);
  OnDevice c(std::vector<float>(Problem::m * Problem::n, NAN));
  const Store store = Store{.c = c.data(), .m = Problem::m, .n = Problem::n}.vectorised();
  set_tf32(tensor_cores);
  multiply_on<Tile>(Rows{{a.data(), Problem::m, Problem::k}},
                    Columns{{b.data(), Problem::k, Problem::n}}, store, Problem::k);
  set_tf32(true);
  problem.check(c.values());
}

}  // namespace

TEST_CASE("every tile multiplies, on tensor cores and without") {
  for (const bool tensor_cores : {true, false}) {
    INFO("tensor cores " << tensor_cores);
    check_tile<WideTile>(tensor_cores);
    check_tile<SquareTile>(tensor_cores);
    check_tile<NarrowTile>(tensor_cores);
    check_tile<LowTile>(tensor_cores);
  }
}

TEST_CASE("parts of a long sum are whole steps and leave no part empty") {
  for (const int tiles : {0, 1, 3, 40, kFewTiles, 5 * kFewTiles})
    for (const int k : {0, 1, 15, 16, 17, 127, 128, 255, 1000, 4097, 1 << 20}) {
      INFO(tiles << " tiles, k = " << k);
      const int part = part_of(tiles, k);
      CHECK(part >= kDepth);
      CHECK(part % kDepth == 0);
      const int parts = std::max(ceil_div(k, part), 1);
      CHECK(parts <= kMostParts);
      if (parts > 1) CHECK(part >= kLeastPart);
      if (tiles >= kFewTiles) CHECK(parts == 1);
      if (k > 0) CHECK((parts - 1) * static_cast<std::int64_t>(part) < k);
    }
}

TEST_CASE("a size that 32 bits cannot hold is refused by its number") {
  CHECK(narrow(1'000'000) == 1'000'000);
  CHECK_THROWS_WITH_AS(narrow(std::int64_t{1} << 40), doctest::Contains("1099511627776"),
                       std::length_error);
}

}  // namespace maskwatch::simt
