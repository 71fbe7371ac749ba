#include "cuda/host/warp.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "cuda/host/executor.h"

namespace maskwatch::simt {
namespace {

constexpr int kLanes = 32;

// A number of a fragment: the lower bits of a float do not reach a tensor core.
struct Factor {
  double value = 0;
  int exponent = 0;
  bool is_finite = true;

  Factor() = default;
  explicit Factor(std::uint32_t bits) {
    const int field = static_cast<int>(bits >> 23 & 0xff);
    value = std::bit_cast<float>(bits & 0xffffe000u);
    exponent = field == 0 ? -126 : field - 127;
    is_finite = field != 0xff;
  }
};

double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

float rounded_toward_zero(double x) {
  const float nearest = static_cast<float>(x);
  return std::abs(static_cast<double>(nearest)) > std::abs(x) ? std::nextafter(nearest, 0.0f)
                                                              : nearest;
}

// sum + a[0]·b[0] + ... + a[3]·b[3]
float add_products(float sum, const Factor* a, const Factor* b) {
  constexpr int kept_bits = 24;
  const Factor start(std::bit_cast<std::uint32_t>(sum));
  int largest = start.exponent;
  bool all_finite = start.is_finite;
  double products[4];
  for (int i = 0; i < 4; ++i) {
    products[i] = a[i].value * b[i].value;
    all_finite = all_finite && a[i].is_finite && b[i].is_finite;
    if (products[i] != 0) largest = std::max(largest, a[i].exponent + b[i].exponent);
  }
  if (!all_finite)
    return static_cast<float>(sum + products[0] + products[1] + products[2] + products[3]);
  const double units_of_one = power_of_two(kept_bits - largest);
  auto units = static_cast<std::int64_t>(sum * units_of_one);
  for (const double product : products) units += static_cast<std::int64_t>(product * units_of_one);
  return rounded_toward_zero(static_cast<double>(units) * power_of_two(largest - kept_bits));
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
  Factor a[16][8], b[8][8];  // [row][k], [column][k]
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto& f = *static_cast<const Fragments*>(payloads[lane]);
    const int group = lane / 4, k = lane % 4;
    for (int i = 0; i < 4; ++i) a[group + 8 * (i % 2)][k + 4 * (i / 2)] = Factor(f.a[i]);
    for (int i = 0; i < 2; ++i) b[group][k + 4 * i] = Factor(f.b[i]);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto& f = *static_cast<const Fragments*>(payloads[lane]);
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
      for (int k = 0; k < 8; k += 4) f.d[i] = add_products(f.d[i], a[row] + k, b[column] + k);
    }
  }
}

}  // namespace maskwatch::simt
