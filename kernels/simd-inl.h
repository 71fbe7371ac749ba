// Full vectors, masked tails and rows of channels, shared by the memory-bound kernels. Compiled
// once for each vector target, like the files that include it.
//
// The rest of an array goes through the same vector instructions as the bulk, so a number does not
// depend on where an array is cut.
#if defined(KERNELS_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef KERNELS_SIMD_INL_H
#undef KERNELS_SIMD_INL_H
#else
#define KERNELS_SIMD_INL_H
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "base/parallel.h"
#include "kernels/shapes.h"
#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

// Values of one array in a task: its operands stay in the second-level cache for a second pass.
constexpr std::int64_t kTaskValues = 32768;

// Rows of few channels are taken `repeat` at a time as one long row that is a whole number of
// vectors: 24 channels fill three AVX-512 vectors with two rows. Parameters of channels are
// repeated to match.
struct LongRows {
  explicit LongRows(RowShape s) : channels(s.channels), rows(s.rows) {
    constexpr std::int64_t kFew = 256;
    if (channels > 0 && channels < kFew) repeat = kLanes / std::gcd(kLanes, channels);
    length = channels * repeat;
    const std::int64_t fitting = kTaskValues / std::max<std::int64_t>(length, 1);
    task_rows = repeat * std::max<std::int64_t>(fitting, 1);
  }

  std::int64_t tasks() const { return (rows + task_rows - 1) / task_rows; }

  std::int64_t channels, rows;
  std::int64_t repeat = 1;
  std::int64_t length;     // numbers in a long row
  std::int64_t task_rows;  // rows in a task, a multiple of `repeat`
};

// Numbers for each channel, repeated to the length of a long row.
class RepeatedParameters {
 public:
  template <typename Value>
  RepeatedParameters(const LongRows& shape, const Value& value) : values_(shape.length) {
    for (std::int64_t c = 0; c < shape.channels; ++c) values_[c] = value(c);
    for (std::int64_t i = shape.channels; i < shape.length; ++i)
      values_[i] = values_[i - shape.channels];
  }

  const float* data() const { return values_.data(); }

 private:
  std::vector<float> values_;
};

namespace {

// A whole vector of an array.
struct Whole {
  HWY_INLINE Vector load(const float* p) const { return hn::LoadU(lanes, p); }
  HWY_INLINE void store(Vector v, float* p) const { hn::StoreU(v, lanes, p); }
  HWY_INLINE Vector keep(Vector v, Vector) const { return v; }
};

// A whole vector, aligned, that is stored past the caches.
struct Streamed : Whole {
  HWY_INLINE void store(Vector v, float* p) const { hn::Stream(v, lanes, p); }
};

// Whether to store y past the caches. A store into memory that is in no cache reads it first;
// against that stands that the next reader of y has to wait, so that it pays for large arrays only.
inline bool pays_to_stream(const float* y, std::int64_t count, bool in_place) {
  constexpr std::int64_t kLarge = 4'000'000;
  const auto vector_bytes = static_cast<std::uintptr_t>(kLanes) * sizeof(float);
  return count >= kLarge && !in_place && reinterpret_cast<std::uintptr_t>(y) % vector_bytes == 0;
}

// The first `count` lanes of a vector, 0 < count < kLanes; no other memory is touched. Lanes
// behind are zero.
class Part {
 public:
  explicit HWY_INLINE Part(std::int64_t count) : count_(static_cast<std::size_t>(count)) {}

#if KERNELS_MASKED_MEMORY
  HWY_INLINE Vector load(const float* p) const { return hn::MaskedLoad(mask(), lanes, p); }
  HWY_INLINE void store(Vector v, float* p) const { hn::BlendedStore(v, mask(), lanes, p); }
#else
  HWY_INLINE Vector load(const float* p) const {
    HWY_ALIGN float copy[kLanes] = {};
    std::memcpy(copy, p, count_ * sizeof(float));
    return hn::Load(lanes, copy);
  }
  HWY_INLINE void store(Vector v, float* p) const {
    HWY_ALIGN float copy[kLanes];
    hn::Store(v, lanes, copy);
    std::memcpy(p, copy, count_ * sizeof(float));
  }
#endif
  // v in the first lanes, `otherwise` behind.
  HWY_INLINE Vector keep(Vector v, Vector otherwise) const {
    return hn::IfThenElse(mask(), v, otherwise);
  }

 private:
  HWY_INLINE hn::Mask<Lanes> mask() const { return hn::FirstN(lanes, count_); }

  std::size_t count_;
};

// body(lanes, i) for i = 0, N, 2N … below count, where `lanes` is Wide (Whole or Streamed) or Part.
template <typename Wide = Whole, typename Body>
HWY_INLINE void for_vectors(std::int64_t count, const Body& body) {
  const std::int64_t n = kLanes;
  std::int64_t i = 0;
  for (; i + n <= count; i += n) body(Wide(), i);
  if (i < count) body(Part(count - i), i);
}

// for_vectors over [0, count) on all threads.
template <typename Wide = Whole, typename Body>
void parallel_for_vectors(std::int64_t count, const Body& body) {
  parallel_for_range(count, kTaskValues, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for_vectors<Wide>(end - begin,
                      [&](const auto& part, std::int64_t i) HWY_ATTR { body(part, begin + i); });
    hwy::FlushStream();
  });
}

// The same for a body that stores y[i]; in_place: y is one of its inputs.
template <typename Body>
void parallel_for_output(const float* y, bool in_place, std::int64_t count, const Body& body) {
  if (pays_to_stream(y, count, in_place))
    parallel_for_vectors<Streamed>(count, body);
  else
    parallel_for_vectors(count, body);
}

// body(begin, end): rows of one task, on all threads.
template <typename Body>
void parallel_for_rows(const LongRows& shape, const Body& body) {
  parallel_for_range(shape.rows, shape.task_rows, body);
}

// y[i] = value(lanes, i, c) for every vector of rows [begin, end): i is its index in the array, c
// in a long row. y may be what `value` reads at i.
template <typename Wide, typename Value>
HWY_INLINE void write_rows(float* y, const LongRows& shape, std::int64_t begin, std::int64_t end,
                           const Value& value) {
  const std::int64_t last = end * shape.channels, n = shape.length;
  std::int64_t row = begin * shape.channels;
  for (; row < last; row += n)
    for_vectors<Wide>(std::min(n, last - row), [&](const auto& part, std::int64_t c) HWY_ATTR {
      part.store(value(part, row + c, c), y + row + c);
    });
  hwy::FlushStream();
}

// The same for all rows on all threads; in_place: y is one of the inputs.
template <typename Value>
void parallel_write_rows(float* y, bool in_place, const LongRows& shape, const Value& value) {
  const bool whole_vectors = shape.length % kLanes == 0;
  const bool streams = whole_vectors && pays_to_stream(y, shape.rows * shape.channels, in_place);
  parallel_for_rows(shape, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    if (streams)
      write_rows<Streamed>(y, shape, begin, end, value);
    else
      write_rows<Whole>(y, shape, begin, end, value);
  });
}

// One column of vectors, `rows` long rows down. step(lanes, sum, sum2, i, c) adds the numbers at i.
template <typename Piece, typename Step>
HWY_INLINE void sum_column(const Piece& part, std::int64_t rows, std::int64_t length,
                           std::int64_t c, float* sums, float* sums2, const Step& step) {
  Vector a = hn::Zero(lanes), b = a;
  for (std::int64_t r = 0; r < rows; ++r) step(part, a, b, r * length + c, c);
  part.store(a, sums + c);
  part.store(b, sums2 + c);
}

// Four columns at a time, for four independent chains of additions.
template <typename Step>
HWY_INLINE std::int64_t sum_four_columns(std::int64_t rows, std::int64_t length, std::int64_t c,
                                         float* sums, float* sums2, const Step& step) {
  const Whole whole;
  const std::int64_t n = kLanes;
  for (; c + 4 * n <= length; c += 4 * n) {
    Vector a0 = hn::Zero(lanes), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t i = r * length + c;
      step(whole, a0, b0, i, c);
      step(whole, a1, b1, i + n, c + n);
      step(whole, a2, b2, i + 2 * n, c + 2 * n);
      step(whole, a3, b3, i + 3 * n, c + 3 * n);
    }
    whole.store(a0, sums + c), whole.store(b0, sums2 + c);
    whole.store(a1, sums + c + n), whole.store(b1, sums2 + c + n);
    whole.store(a2, sums + c + 2 * n), whole.store(b2, sums2 + c + 2 * n);
    whole.store(a3, sums + c + 3 * n), whole.store(b3, sums2 + c + 3 * n);
  }
  return c;
}

// Two sums for each of `length` columns over whole long rows.
template <typename Step>
HWY_INLINE void sum_columns(std::int64_t rows, std::int64_t length, float* sums, float* sums2,
                            const Step& step) {
  const std::int64_t done = sum_four_columns(rows, length, 0, sums, sums2, step);
  for_vectors(length - done, [&](const auto& part, std::int64_t c) HWY_ATTR {
    sum_column(part, rows, length, done + c, sums, sums2, step);
  });
}

// Two sums for each channel over some rows of one task.
class ChannelSums {
 public:
  explicit ChannelSums(const LongRows& shape)
      : sum(shape.channels), sum2(shape.channels), shape_(shape), long_(2 * shape.length) {}

  // step(lanes, sum, sum2, i, c): as in sum_column, i counted from row `begin`. Rows that do not
  // fill a long row come last.
  template <typename Step>
  HWY_INLINE void add_up(std::int64_t begin, std::int64_t end, const Step& step) {
    const std::int64_t whole = (end - begin) / shape_.repeat;
    float* sums = long_.data();
    float* sums2 = sums + shape_.length;
    std::fill(sum.begin(), sum.end(), 0.0);
    std::fill(sum2.begin(), sum2.end(), 0.0);
    sum_columns(whole, shape_.length, sums, sums2, step);
    fold(shape_.length, sums, sums2);
    const std::int64_t rest = (end - begin) * shape_.channels - whole * shape_.length;
    const std::int64_t first = whole * shape_.length;
    for_vectors(rest, [&](const auto& part, std::int64_t c) HWY_ATTR {
      Vector a = hn::Zero(lanes), b = a;
      step(part, a, b, first + c, c);
      part.store(a, sums + c);
      part.store(b, sums2 + c);
    });
    fold(rest, sums, sums2);
  }

  std::vector<double> sum, sum2;

 private:
  // Adds columns to the channels that they repeat.
  void fold(std::int64_t length, const float* sums, const float* sums2) {
    for (std::int64_t begin = 0; begin < length; begin += shape_.channels)
      for (std::int64_t c = 0; c < shape_.channels; ++c) {
        sum[c] += static_cast<double>(sums[begin + c]);
        sum2[c] += static_cast<double>(sums2[begin + c]);
      }
  }

  const LongRows& shape_;
  std::vector<float> long_;
};

// The sums of all rows: tasks in parallel, their sums added in order of tasks. step as in
// ChannelSums, but i counts from the first row of all.
// then(begin, end), or null, follows each task, while its rows are in the cache.
template <typename Step>
void sum_rows(const LongRows& shape, double* sum, double* sum2, const Step& step,
              const std::function<void(std::int64_t, std::int64_t)>& then = nullptr) {
  const std::int64_t channels = shape.channels;
  std::vector<double> partial(2 * channels * shape.tasks());
  parallel_for_rows(shape, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    ChannelSums sums(shape);
    const std::int64_t first = begin * channels;
    sums.add_up(begin, end,
                [&](const auto& part, Vector& a, Vector& b, std::int64_t i, std::int64_t c)
                    HWY_ATTR { step(part, a, b, first + i, c); });
    double* mine = partial.data() + begin / shape.task_rows * 2 * channels;
    std::copy(sums.sum.begin(), sums.sum.end(), mine);
    std::copy(sums.sum2.begin(), sums.sum2.end(), mine + channels);
    if (then) then(begin, end);
  });
  std::fill_n(sum, channels, 0.0);
  std::fill_n(sum2, channels, 0.0);
  for (std::int64_t task = 0; task < shape.tasks(); ++task)
    for (std::int64_t c = 0; c < channels; ++c) {
      sum[c] += partial[task * 2 * channels + c];
      sum2[c] += partial[(task * 2 + 1) * channels + c];
    }
}

}  // namespace
}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // KERNELS_SIMD_INL_H
