#include "cuda/host/warp.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "cuda/host/executor.h"

namespace maskwatch::simt {
namespace {

constexpr int kLanes = 32;

// The lower bits of a float do not reach a tensor core.
float as_tf32(std::uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); }

int exponent(float x) {
  constexpr int smallest = -126;
  return x == 0 ? smallest : std::max(std::ilogb(x), smallest);
}

float rounded_toward_zero(double x) {
  const float nearest = static_cast<float>(x);
  return std::abs(static_cast<double>(nearest)) > std::abs(x) ? std::nextafter(nearest, 0.0f)
                                                              : nearest;
}

// sum + a[0]·b[0] + ... + a[3]·b[3]
float add_products(float sum, const float (&a)[4], const float (&b)[4]) {
  constexpr int kept_bits = 24;
  int largest = exponent(sum);
  double plain = sum;
  for (int i = 0; i < 4; ++i) {
    plain += static_cast<double>(a[i]) * b[i];
    if (a[i] != 0 && b[i] != 0) largest = std::max(largest, exponent(a[i]) + exponent(b[i]));
  }
  if (!std::isfinite(plain)) return static_cast<float>(plain);
  const double unit = std::ldexp(1.0, largest - kept_bits);
  double units = std::trunc(sum / unit);
  for (int i = 0; i < 4; ++i) units += std::trunc(static_cast<double>(a[i]) * b[i] / unit);
  return rounded_toward_zero(units * unit);
}

}  // namespace

void combine_shuffles(void* const* payloads) {
  for (int lane = 0; lane < kLanes; ++lane) {
    auto* own = static_cast<Shuffle*>(payloads[lane]);
    if (!own) continue;
    const auto* source = static_cast<const Shuffle*>(payloads[own->source]);
    own->result = source ? source->value : ~std::uint64_t{0};
  }
}

void combine_ballots(void* const* payloads) {
  unsigned votes = 0;
  for (int lane = 0; lane < kLanes; ++lane)
    if (payloads[lane] && static_cast<const Ballot*>(payloads[lane])->predicate)
      votes |= 1u << lane;
  for (int lane = 0; lane < kLanes; ++lane)
    if (payloads[lane]) static_cast<Ballot*>(payloads[lane])->result = votes;
}

void multiply_fragments(void* const* payloads) {
  if (std::find(payloads, payloads + kLanes, nullptr) != payloads + kLanes)
    throw KernelError("a product of fragments by a warp of which lanes have ended");
  float a[16][8], b[8][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto& f = *static_cast<const Fragments*>(payloads[lane]);
    const int row = lane / 4, column = lane % 4;
    for (int i = 0; i < 4; ++i) a[row + 8 * (i % 2)][column + 4 * (i / 2)] = as_tf32(f.a[i]);
    for (int i = 0; i < 2; ++i) b[column + 4 * i][row] = as_tf32(f.b[i]);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto& f = *static_cast<const Fragments*>(payloads[lane]);
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
      for (int k = 0; k < 8; k += 4)
        f.d[i] = add_products(f.d[i], {a[row][k], a[row][k + 1], a[row][k + 2], a[row][k + 3]},
                              {b[k][column], b[k + 1][column], b[k + 2][column], b[k + 3][column]});
    }
  }
}

}  // namespace maskwatch::simt
