#include "tests/kernels/cases.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <span>

namespace maskwatch::kernel_cases {
namespace {

constexpr std::int64_t widest_vector = 16;     // floats, AVX-512
constexpr std::size_t most_drawn = 1'000'000;  // random numbers in an array; then they repeat

float away_from_kinks(float x) {
  constexpr float margin = 0.01f;
  for (const float kink : {0.0f, 6.0f})
    if (std::abs(x - kink) < margin) return kink + (x < kink ? -margin : margin);
  return x;
}

void normalise_rows(std::vector<float>& values, std::int64_t row, bool one_hot) {
  for (std::size_t begin = 0; begin < values.size(); begin += row) {
    const auto first = values.begin() + begin, last = first + row;
    if (one_hot) {
      const auto chosen = static_cast<std::int64_t>(first[0] * 1000) % row;
      std::fill(first, last, 0.0f);
      first[chosen] = 1;
    } else {
      const float sum = std::accumulate(first, last, 0.0f);
      for (auto x = first; x != last; ++x) *x /= sum;
    }
  }
}

std::vector<float> filled(const Operand& operand, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(0.5f, 1.5f);
  std::vector<float> values(operand.size);
  const std::size_t drawn = std::min(values.size(), most_drawn);
  for (float& x : std::span(values).first(drawn)) {
    switch (operand.fill) {
      case Fill::normal:
        x = normal(random);
        break;
      case Fill::shifted:
        x = 100 + normal(random);
        break;
      case Fill::kinked:
        x = away_from_kinks(4 * normal(random));
        break;
      default:
        x = uniform(random);
    }
  }
  for (std::size_t i = drawn; i < values.size(); ++i) values[i] = values[i - drawn];
  if (operand.fill == Fill::probabilities || operand.fill == Fill::one_hot)
    normalise_rows(values, operand.row, operand.fill == Fill::one_hot);
  return values;
}

}  // namespace

double bytes_moved(const Case& c) {
  double numbers = 0;
  for (const Operand& operand : c.operands) {
    if (operand.role != Role::scratch) numbers += static_cast<double>(operand.size);
    if (operand.role == Role::in_place) numbers += static_cast<double>(operand.size);
  }
  return numbers * sizeof(float);
}

std::vector<std::vector<float>> initial_values(const Case& c) {
  std::mt19937 random(1);
  std::vector<std::vector<float>> values;
  for (const Operand& operand : c.operands) {
    const bool is_read = operand.role == Role::input || operand.role == Role::in_place;
    values.push_back(
        is_read ? filled(operand, random)
                : std::vector<float>(operand.size, std::numeric_limits<float>::quiet_NaN()));
  }
  return values;
}

std::vector<std::int64_t> lengths() {
  std::vector<std::int64_t> all(2 * widest_vector + 2);
  std::iota(all.begin(), all.end(), 0);
  all.push_back(100'003);
  return all;
}

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = {
#define OP(name, parameters) {#name, &cases_##name},
#include "kernels/ops.def"
#undef OP
  };
  return all;
}

}  // namespace maskwatch::kernel_cases
