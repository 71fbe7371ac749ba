// Softmax and losses on logits[rows, classes] over Highway vectors. Exponents are taken of
// non-positive numbers only, so nothing overflows; sums over rows are in double, in order of tasks.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/loss.cc"
#include <hwy/foreach_target.h>

#include <cmath>
#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "kernels/simd-inl.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

// Exponentials and logarithms cost about ten times a copy.
constexpr std::int64_t kLossTaskValues = kTaskValues / 8;

HWY_INLINE float lane_sum(Vector v) { return hn::GetLane(hn::SumOfLanes(lanes, v)); }

HWY_INLINE float row_maximum(const float* x, std::int64_t count) {
  const Vector lowest = hn::Set(lanes, -std::numeric_limits<float>::infinity());
  Vector maximum = lowest;
  for_vectors(count, [&](const auto& part, std::int64_t i) HWY_ATTR {
    maximum = hn::Max(maximum, part.keep(part.load(x + i), lowest));
  });
  return hn::GetLane(hn::MaxOfLanes(lanes, maximum));
}

// y = exp(x - maximum); the sum of y. y may be x.
HWY_INLINE float row_exponentials(float* y, const float* x, float maximum, std::int64_t count) {
  const Lanes d;
  Vector sum = hn::Zero(d);
  for_vectors(count, [&](const auto& part, std::int64_t i) HWY_ATTR {
    const Vector e = hn::Exp(d, hn::Sub(part.load(x + i), hn::Set(d, maximum)));
    part.store(e, y + i);
    sum = hn::Add(sum, part.keep(e, hn::Zero(d)));
  });
  return lane_sum(sum);
}

HWY_INLINE void softmax_row(float* y, const float* x, std::int64_t count) {
  const Lanes d;
  const float sum = row_exponentials(y, x, row_maximum(x, count), count);
  for_vectors(count, [&](const auto& part, std::int64_t i) HWY_ATTR {
    part.store(hn::Div(part.load(y + i), hn::Set(d, sum)), y + i);
  });
}

// Rows of two classes, as face detectors have by the thousand: pairs of neighbouring lanes.
HWY_INLINE void softmax_pairs(float* y, const float* x, std::int64_t count) {
  const Lanes d;
  for_vectors(count, [&](const auto& part, std::int64_t i) HWY_ATTR {
    const Vector v = part.load(x + i);
    const Vector e = hn::Exp(d, hn::Sub(v, hn::Max(v, hn::Shuffle2301(v))));
    part.store(hn::Div(e, hn::Add(e, hn::Shuffle2301(e))), y + i);
  });
}

HWY_INLINE float dot(const float* a, const float* b, std::int64_t count) {
  Vector sum = hn::Zero(lanes);
  for_vectors(count, [&](const auto& part, std::int64_t i)
                         HWY_ATTR { sum = hn::MulAdd(part.load(a + i), part.load(b + i), sum); });
  return lane_sum(sum);
}

HWY_INLINE float row_sum(const float* x, std::int64_t count) {
  Vector sum = hn::Zero(lanes);
  for_vectors(count, [&](const auto& part, std::int64_t i)
                         HWY_ATTR { sum = hn::Add(sum, part.load(x + i)); });
  return lane_sum(sum);
}

// Σ targets · (log Σexp(x - maximum) - (x - maximum)); e: room for a row.
HWY_INLINE float row_cross_entropy(float* e, const float* x, const float* targets,
                                   std::int64_t count) {
  const Lanes d;
  const float maximum = row_maximum(x, count);
  const float log_sum = std::log(row_exponentials(e, x, maximum, count));
  const Vector lowest = hn::Set(d, std::numeric_limits<float>::lowest());
  Vector sum = hn::Zero(d);
  for_vectors(count, [&](const auto& part, std::int64_t i) HWY_ATTR {
    // Not infinite, so that a target of 0 takes nothing of it.
    const Vector below = hn::Max(hn::Sub(part.load(x + i), hn::Set(d, maximum)), lowest);
    sum = hn::MulAdd(part.load(targets + i), hn::Sub(hn::Set(d, log_sum), below), sum);
  });
  return lane_sum(sum);
}

std::int64_t rows_in_task(RowShape s) {
  return std::max<std::int64_t>(1, kLossTaskValues / std::max<std::int64_t>(1, s.channels));
}

// Σ of body(begin, end) over tasks, added in order.
template <typename Body>
double sum_of_tasks(std::int64_t count, std::int64_t grain, const Body& body) {
  std::vector<double> partial((count + grain - 1) / grain);
  parallel_for_range(count, grain, [&](std::int64_t begin, std::int64_t end) {
    partial[begin / grain] = body(begin, end);
  });
  return std::accumulate(partial.begin(), partial.end(), 0.0);
}

}  // namespace

void softmax(float* y, const float* x, RowShape s) {
  if (s.channels == 2) {
    parallel_for_range(2 * s.rows, kLossTaskValues,
                       [=](std::int64_t begin, std::int64_t end)
                           HWY_ATTR { softmax_pairs(y + begin, x + begin, end - begin); });
    return;
  }
  parallel_for_range(s.rows, rows_in_task(s), [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t r = begin; r < end; ++r)
      softmax_row(y + r * s.channels, x + r * s.channels, s.channels);
  });
}

void softmax_backward(float* dx, const float* dy, const float* y, RowShape s) {
  parallel_for_range(s.rows, rows_in_task(s), [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t row = r * s.channels;
      const Vector mean = hn::Set(lanes, dot(dy + row, y + row, s.channels));
      for_vectors(s.channels, [=](const auto& part, std::int64_t c) HWY_ATTR {
        const std::int64_t i = row + c;
        part.store(hn::Mul(part.load(y + i), hn::Sub(part.load(dy + i), mean)), dx + i);
      });
    }
  });
}

void softmax_cross_entropy(float* loss, const float* logits, const float* targets, RowShape s) {
  const double sum =
      sum_of_tasks(s.rows, rows_in_task(s), [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
        std::vector<float> row(s.channels);
        double total = 0;
        for (std::int64_t r = begin; r < end; ++r)
          total += static_cast<double>(row_cross_entropy(row.data(), logits + r * s.channels,
                                                         targets + r * s.channels, s.channels));
        return total;
      });
  loss[0] = static_cast<float>(sum / static_cast<double>(s.rows));
}

void softmax_cross_entropy_backward(float* dlogits, const float* dloss, const float* logits,
                                    const float* targets, RowShape s) {
  const float factor = dloss[0] / static_cast<float>(s.rows);
  parallel_for_range(s.rows, rows_in_task(s), [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t row = r * s.channels;
      softmax_row(dlogits + row, logits + row, s.channels);
      const Vector weight = hn::Set(lanes, row_sum(targets + row, s.channels));
      for_vectors(s.channels, [=](const auto& part, std::int64_t c) HWY_ATTR {
        const std::int64_t i = row + c;
        const Vector wanted = part.load(targets + i);
        const Vector gradient = hn::MulSub(weight, part.load(dlogits + i), wanted);
        part.store(hn::Mul(hn::Set(lanes, factor), gradient), dlogits + i);
      });
    }
  });
}

// max(z, 0) - z·target + log(1 + exp(-|z|)) for each output.
void binary_cross_entropy(float* loss, const float* logits, const float* targets, RowShape s) {
  const std::int64_t count = s.rows * s.channels;
  const double sum =
      sum_of_tasks(count, kLossTaskValues, [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
        const Lanes d;
        Vector total = hn::Zero(d);
        for_vectors(end - begin, [&](const auto& part, std::int64_t i) HWY_ATTR {
          const Vector z = part.load(logits + begin + i);
          const Vector linear =
              hn::NegMulAdd(z, part.load(targets + begin + i), hn::Max(z, hn::Zero(d)));
          const Vector curved = hn::Log1p(d, hn::Exp(d, hn::Neg(hn::Abs(z))));
          total = hn::Add(total, part.keep(hn::Add(linear, curved), hn::Zero(d)));
        });
        return static_cast<double>(lane_sum(total));
      });
  loss[0] = static_cast<float>(sum / static_cast<double>(count));
}

void binary_cross_entropy_backward(float* dlogits, const float* dloss, const float* logits,
                                   const float* targets, RowShape s) {
  const std::int64_t count = s.rows * s.channels;
  const float factor = dloss[0] / static_cast<float>(count);
  parallel_for_range(count, kLossTaskValues, [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
    const Lanes d;
    for_vectors(end - begin, [=](const auto& part, std::int64_t offset) HWY_ATTR {
      const std::int64_t i = begin + offset;
      const Vector z = part.load(logits + i), one = hn::Set(d, 1.0f);
      const Vector e = hn::Exp(d, hn::Neg(hn::Abs(z)));
      const Vector numerator = hn::IfThenElse(hn::Ge(z, hn::Zero(d)), one, e);
      const Vector sigmoid = hn::Div(numerator, hn::Add(one, e));
      const Vector gradient = hn::Sub(sigmoid, part.load(targets + i));
      part.store(hn::Mul(hn::Set(d, factor), gradient), dlogits + i);
    });
  });
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
