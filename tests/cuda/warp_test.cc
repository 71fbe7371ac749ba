// The exchanges of a warp on the executor: shuffles as CUDA's manual says, and the fragments of
// mma.sync against a plain product.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "cuda/host/simt_device.h"
#include "cuda/simt.h"

namespace maskwatch::simt {
namespace {

enum class Kind { indexed, up, down, butterfly };

__global__ void shuffle_all(float* to, Kind kind, int by, int width) {
  const auto own = static_cast<float>(threadIdx.x);
  float got = -1;
  if (kind == Kind::indexed) got = __shfl_sync(kWholeWarp, own, by, width);
  if (kind == Kind::up) got = __shfl_up_sync(kWholeWarp, own, by, width);
  if (kind == Kind::down) got = __shfl_down_sync(kWholeWarp, own, by, width);
  if (kind == Kind::butterfly) got = __shfl_xor_sync(kWholeWarp, own, by, width);
  to[threadIdx.x] = got;
}

// Whom lane `lane` hears, as the tables of PTX's shfl say it.
int heard(Kind kind, int lane, int by, int width) {
  const int first = lane / width * width, last = first + width - 1;
  switch (kind) {
    case Kind::indexed:
      return first + by % width;
    case Kind::up:
      return lane - by >= first ? lane - by : lane;
    case Kind::down:
      return lane + by <= last ? lane + by : lane;
    default:
      return (lane ^ by) <= last ? lane ^ by : lane;
  }
}

__global__ void halves(float* to, unsigned* votes) {
  const unsigned mask = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
  // Lane 3 of the first half asks for one of the other half.
  to[threadIdx.x] =
      __shfl_sync(mask, static_cast<float>(threadIdx.x), threadIdx.x == 3 ? 20 : threadIdx.x ^ 1);
  votes[threadIdx.x] = __ballot_sync(mask, threadIdx.x % 3 == 0);
}

__global__ void sum_of_a_short_warp(int* to) {
  if (threadIdx.x >= 40) return;
  int sum = 1;
  const unsigned mask = threadIdx.x < 32 ? kWholeWarp : 0xffu;
  for (int by = 4; by > 0; by /= 2) sum += __shfl_xor_sync(mask, sum, by);
  to[threadIdx.x] = sum;
}

// c[16, 8] = a[16, k] · b[k, 8], k a multiple of 8.
__global__ void multiply(float* c, const float* a, const float* b, int k) {
  const unsigned row = threadIdx.x / 4, column = threadIdx.x % 4;
  float d[4] = {};
  for (int begin = 0; begin < k; begin += 8) {
    const float* rows = a + row * k + begin;
    const std::uint32_t a_fragment[4] = {to_tf32(rows[column]), to_tf32(rows[8 * k + column]),
                                         to_tf32(rows[column + 4]),
                                         to_tf32(rows[8 * k + column + 4])};
    const std::uint32_t b_fragment[2] = {to_tf32(b[(begin + column) * 8 + row]),
                                         to_tf32(b[(begin + column + 4) * 8 + row])};
    mma_m16n8k8_tf32(d, a_fragment, b_fragment);
  }
  for (int i = 0; i < 4; ++i) c[(row + i / 2 * 8) * 8 + column * 2 + i % 2] = d[i];
}

template <typename T>
T* on_device(const std::vector<T>& values) {
  auto* memory = static_cast<T*>(device().allocate(values.size() * sizeof(T)));
  device().copy_in(memory, values.data(), values.size() * sizeof(T));
  return memory;
}

// What lies at `memory`, which is released.
template <typename T>
std::vector<T> taken(T* memory, std::size_t count) {
  std::vector<T> values(count);
  device().copy_out(values.data(), memory, count * sizeof(T));
  device().release(memory);
  return values;
}

std::vector<float> product(const std::vector<float>& a, const std::vector<float>& b, int k) {
  float* const on_a = on_device(a);
  float* const on_b = on_device(b);
  float* const on_c = on_device(std::vector<float>(16 * 8));
  launch(multiply, 1, 32, 0, on_c, on_a, on_b, k);
  device().release(on_a);
  device().release(on_b);
  return taken(on_c, 16 * 8);
}

}  // namespace

TEST_CASE("executor: shuffles of widths 8, 16 and 32") {
  for (const Kind kind : {Kind::indexed, Kind::up, Kind::down, Kind::butterfly})
    for (const int width : {8, 16, 32})
      for (const int by : {0, 1, 2, 5, 7, 8, 15, 16, 17, 31}) {
        CAPTURE(static_cast<int>(kind));
        CAPTURE(width);
        CAPTURE(by);
        float* const to = on_device(std::vector<float>(32));
        launch(shuffle_all, 1, 32, 0, to, kind, by, width);
        const std::vector<float> got = taken(to, 32);
        for (int lane = 0; lane < 32; ++lane)
          CHECK(got[lane] == static_cast<float>(heard(kind, lane, by, width)));
      }
}

TEST_CASE("executor: halves of a warp exchange apart, and from outside the mask comes NaN") {
  float* const to = on_device(std::vector<float>(32));
  unsigned* const votes = on_device(std::vector<unsigned>(32));
  launch(halves, 1, 32, 0, to, votes);
  const std::vector<float> got = taken(to, 32);
  const std::vector<unsigned> counted = taken(votes, 32);
  for (int lane = 0; lane < 32; ++lane) {
    if (lane == 3)
      CHECK(std::isnan(got[lane]));
    else
      CHECK(got[lane] == static_cast<float>(lane ^ 1));
    CHECK(counted[lane] == (lane < 16 ? 0x00009249u : 0x49240000u));
  }
}

TEST_CASE("executor: a block whose last warp is not whole, with threads that end early") {
  int* const to = on_device(std::vector<int>(48));
  launch(sum_of_a_short_warp, 1, 48, 0, to);
  const std::vector<int> sums = taken(to, 48);
  for (int i = 0; i < 40; ++i) CHECK(sums[i] == 8);
}

TEST_CASE("executor: fragments of mma.sync lie as PTX says") {
  constexpr int k = 24;
  // Small whole numbers: every product and sum is exact.
  std::vector<float> a(16 * k), b(k * 8);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i * 7 % 23) - 11;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i * 5 % 19) - 9;
  const std::vector<float> c = product(a, b, k);
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      float sum = 0;
      for (int p = 0; p < k; ++p) sum += a[row * k + p] * b[p * 8 + column];
      CHECK(c[row * 8 + column] == sum);
    }
}

TEST_CASE("executor: a tensor core's factors have 10 bits, its sums are cut off") {
  std::vector<float> a(16 * 8), b(8 * 8);
  b[0] = 1;                        // c[row, 0] = a[row, 0]
  a[0] = 1 + 0x1p-11f;             // half a last bit: rounded away from 0 by to_tf32
  a[8] = 1 + 0x1p-11f - 0x1p-20f;  // a little less
  b[8] = 1;
  a[2 * 8] = 1, a[2 * 8 + 1] = 0x1p-25f;   // below what a sum keeps
  a[3 * 8] = -1, a[3 * 8 + 1] = 0x1p-24f;  // kept, and cut toward 0
  const std::vector<float> c = product(a, b, 8);
  CHECK(c[0] == 1 + 0x1p-10f);
  CHECK(c[8] == 1);
  CHECK(c[2 * 8] == 1);
  CHECK(c[3 * 8] == -(1 - 0x1p-24f));
  CHECK(to_tf32(1 + 0x1p-11f) == std::bit_cast<std::uint32_t>(1 + 0x1p-10f));
}

}  // namespace maskwatch::simt
