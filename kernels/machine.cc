#include "kernels/machine.h"

#include <chrono>
#include <cstdint>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/machine.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Twelve chains hide the latency of four or five cycles at two a cycle; they differ, or the
// compiler would merge them. Returns the operations done.
double multiply_add(std::int64_t rounds, float* sink) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, 0.999f), addend = hn::Set(d, 1e-3f);
  const auto start = [=](int chain) HWY_ATTR { return hn::Set(d, sink[chain]); };
  auto a0 = start(0), a1 = start(1), a2 = start(2), a3 = start(3), a4 = start(4), a5 = start(5);
  auto b0 = start(6), b1 = start(7), b2 = start(8), b3 = start(9), b4 = start(10), b5 = start(11);
  for (std::int64_t round = 0; round < rounds; ++round) {
    a0 = hn::MulAdd(a0, factor, addend), b0 = hn::MulAdd(b0, factor, addend);
    a1 = hn::MulAdd(a1, factor, addend), b1 = hn::MulAdd(b1, factor, addend);
    a2 = hn::MulAdd(a2, factor, addend), b2 = hn::MulAdd(b2, factor, addend);
    a3 = hn::MulAdd(a3, factor, addend), b3 = hn::MulAdd(b3, factor, addend);
    a4 = hn::MulAdd(a4, factor, addend), b4 = hn::MulAdd(b4, factor, addend);
    a5 = hn::MulAdd(a5, factor, addend), b5 = hn::MulAdd(b5, factor, addend);
  }
  const auto a = hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), hn::Add(a4, a5));
  const auto b = hn::Add(hn::Add(hn::Add(b0, b1), hn::Add(b2, b3)), hn::Add(b4, b5));
  sink[0] += hn::GetLane(hn::Add(a, b));
  return 12.0 * 2.0 * static_cast<double>(rounds) * static_cast<double>(hn::Lanes(d));
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <numeric>
#include <vector>

#include "kernels/quantized.h"
#include "kernels/table.h"

namespace maskwatch::kernels {
HWY_EXPORT(multiply_add);

namespace {

template <typename Body>
double best_seconds(const Body& body) {
  double best = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat < 25; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best = taken.count() < best ? taken.count() : best;
  }
  return best;
}

// 10^9 operations a second, of which operations(rounds, numbers of the thread) says how many it
// did.
template <typename Number, typename Operations>
double peak(const Operations& operations) {
  constexpr std::int64_t rounds = 1'000'000;
  const int threads = maskwatch::threads();
  constexpr int apart = 256;  // numbers: no two threads in one cache line
  std::vector<Number> numbers(threads * apart);
  std::iota(numbers.begin(), numbers.end(), Number{0});
  std::vector<double> done(threads);
  const double seconds = best_seconds([&] {
    parallel_for(threads, [&](std::int64_t thread) {
      done[thread] = operations(rounds, &numbers[thread * apart]);
    });
  });
  return done[0] * threads / seconds / 1e9;
}

}  // namespace

double peak_gflops() {
  return peak<float>([](std::int64_t rounds, float* sink) {
    return HWY_DYNAMIC_DISPATCH(multiply_add)(rounds, sink);
  });
}

double peak_int8_gops() {
  return peak<std::int32_t>([](std::int64_t rounds, std::int32_t* sums) {
    return 2 * quantized_cpu().multiply_adds(rounds, sums);
  });
}

double peak_memory_gbs() {
  constexpr std::int64_t count = 64'000'000;
  std::vector<float> a(count), b(count, 1.0f), c(count, 2.0f);
  const double seconds = best_seconds([&] { add(a.data(), b.data(), c.data(), count); });
  return 3.0 * sizeof(float) * count / seconds / 1e9;
}

}  // namespace maskwatch::kernels
#endif  // HWY_ONCE
