// Elementwise operations, bias, dropout, pooling and up-sampling over Highway vectors: bound by
// memory, cut into tasks that fit the second-level cache. Shapes stand in ops.def.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise.cc"
#include <hwy/foreach_target.h>

#include "hwy/contrib/math/math-inl.h"
#include "kernels/scalar.h"
#include "kernels/simd-inl.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

void relu(float* y, const float* x, std::int64_t count) {
  parallel_for_output(y, y == x, count, [=](const auto& part, std::int64_t i) HWY_ATTR {
    // In this order a NaN stays a NaN.
    part.store(at_least(hn::Zero(lanes), part.load(x + i)), y + i);
  });
}

void relu_backward(float* dx, const float* dy, const float* x, std::int64_t count) {
  parallel_for_output(dx, dx == dy || dx == x, count,
                      [=](const auto& part, std::int64_t i) HWY_ATTR {
                        const auto passes = hn::Gt(part.load(x + i), hn::Zero(lanes));
                        part.store(hn::IfThenElseZero(passes, part.load(dy + i)), dx + i);
                      });
}

void relu6(float* y, const float* x, std::int64_t count) {
  parallel_for_output(y, y == x, count, [=](const auto& part, std::int64_t i) HWY_ATTR {
    const Lanes d;
    part.store(at_most(hn::Set(d, 6.0f), at_least(hn::Zero(d), part.load(x + i))), y + i);
  });
}

void relu6_backward(float* dx, const float* dy, const float* x, std::int64_t count) {
  parallel_for_output(
      dx, dx == dy || dx == x, count, [=](const auto& part, std::int64_t i) HWY_ATTR {
        const Lanes d;
        const Vector v = part.load(x + i);
        const auto passes = hn::And(hn::Gt(v, hn::Zero(d)), hn::Lt(v, hn::Set(d, 6.0f)));
        part.store(hn::IfThenElseZero(passes, part.load(dy + i)), dx + i);
      });
}

void add(float* y, const float* a, const float* b, std::int64_t count) {
  parallel_for_output(y, y == a || y == b, count, [=](const auto& part, std::int64_t i) HWY_ATTR {
    part.store(hn::Add(part.load(a + i), part.load(b + i)), y + i);
  });
}

void sigmoid(float* y, const float* x, std::int64_t count) {
  parallel_for_vectors(count, [=](const auto& part, std::int64_t i) HWY_ATTR {
    const Lanes d;
    const Vector v = part.load(x + i), one = hn::Set(d, 1.0f);
    const Vector e = hn::Exp(d, hn::Neg(hn::Abs(v)));
    const Vector numerator = hn::IfThenElse(hn::Ge(v, hn::Zero(d)), one, e);
    part.store(hn::Div(numerator, hn::Add(one, e)), y + i);
  });
}

void scale(float* y, const float* x, double factor, std::int64_t count) {
  parallel_for_output(y, y == x, count, [=](const auto& part, std::int64_t i) HWY_ATTR {
    part.store(hn::Mul(hn::Set(lanes, static_cast<float>(factor)), part.load(x + i)), y + i);
  });
}

void add_bias(float* y, const float* x, const float* bias, RowShape shape) {
  const LongRows rows(shape);
  const RepeatedParameters repeated(rows, [=](std::int64_t c) { return bias[c]; });
  const float* b = repeated.data();
  parallel_write_rows(y, y == x, rows,
                      [=](const auto& part, std::int64_t i, std::int64_t c)
                          HWY_ATTR { return hn::Add(part.load(x + i), part.load(b + c)); });
}

void add_bias_backward(float* dbias, const float* dy, RowShape shape) {
  std::vector<double> sum(shape.channels), unused(shape.channels);
  sum_rows(LongRows(shape), sum.data(), unused.data(),
           [=](const auto& part, Vector& a, Vector&, std::int64_t i, std::int64_t)
               HWY_ATTR { a = hn::Add(a, part.load(dy + i)); });
  for (std::int64_t c = 0; c < shape.channels; ++c) dbias[c] = static_cast<float>(sum[c]);
}

// Plain code: it runs on a hundred units a picture, and Highway 1.0 has no 64-bit product on all
// targets.
void dropout(float* y, const float* x, double rate, std::uint64_t seed, std::int64_t count) {
  const float kept = static_cast<float>(1 / (1 - rate));
  const std::uint32_t threshold = scalar::dropout_threshold(rate);
  parallel_for_range(count, kTaskValues, [=](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t i = begin; i < end; ++i)
      y[i] = scalar::dropout_keeps(seed, i, threshold) ? x[i] * kept : 0.0f;
  });
}

void global_average_pool(float* y, const float* x, PoolShape shape) {
  const float factor = 1.0f / static_cast<float>(shape.positions);
  parallel_for(shape.batch, [=](std::int64_t b) HWY_ATTR {
    const float* picture = x + b * shape.positions * shape.channels;
    float* mean = y + b * shape.channels;
    for_vectors(shape.channels, [=](const auto& part, std::int64_t c) HWY_ATTR {
      Vector sum = hn::Zero(lanes);
      for (std::int64_t p = 0; p < shape.positions; ++p)
        sum = hn::Add(sum, part.load(picture + p * shape.channels + c));
      part.store(hn::Mul(sum, hn::Set(lanes, factor)), mean + c);
    });
  });
}

void global_average_pool_backward(float* dx, const float* dy, PoolShape shape) {
  const float factor = 1.0f / static_cast<float>(shape.positions);
  parallel_for(shape.batch, [=](std::int64_t b) HWY_ATTR {
    float* picture = dx + b * shape.positions * shape.channels;
    const float* mean = dy + b * shape.channels;
    for (std::int64_t p = 0; p < shape.positions; ++p)
      for_vectors(shape.channels, [=](const auto& part, std::int64_t c) HWY_ATTR {
        part.store(hn::Mul(part.load(mean + c), hn::Set(lanes, factor)),
                   picture + p * shape.channels + c);
      });
  });
}

namespace {

// body(row) for the rows of all pictures, each `row_values` numbers long, on all threads.
template <typename Body>
void parallel_for_picture_rows(std::int64_t rows, std::int64_t row_values, const Body& body) {
  const std::int64_t grain = kTaskValues / std::max<std::int64_t>(row_values, 1);
  parallel_for_range(rows, std::max<std::int64_t>(grain, 1),
                     [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
                       for (std::int64_t row = begin; row < end; ++row) body(row);
                     });
}

}  // namespace

void copy_rows(float* y, std::int64_t y_stride, const float* x, std::int64_t x_stride, RowShape s) {
  parallel_for_picture_rows(s.rows, s.channels, [=](std::int64_t row) HWY_ATTR {
    std::copy_n(x + row * x_stride, s.channels, y + row * y_stride);
  });
}

void upsample2x(float* y, const float* x, UpsampleShape s) {
  const std::int64_t channels = s.channels, in_row = s.in_width() * channels;
  const auto write = [=](std::int64_t row) HWY_ATTR {
    const float* from = x + (row / s.height * s.in_height() + row % s.height / 2) * in_row;
    float* to = y + row * s.width * channels;
    for (std::int64_t column = 0; column < s.width; ++column, to += channels) {
      const float* value = from + column / 2 * channels;
      for_vectors(channels, [=](const auto& part, std::int64_t c)
                                HWY_ATTR { part.store(part.load(value + c), to + c); });
    }
  };
  parallel_for_picture_rows(s.batch * s.height, s.width * channels, write);
}

void upsample2x_backward(float* dx, const float* dy, UpsampleShape s) {
  const std::int64_t channels = s.channels, row_values = s.width * channels;
  const auto write = [=](std::int64_t row) HWY_ATTR {
    const std::int64_t first = row % s.in_height() * 2;
    const float* from = dy + (row / s.in_height() * s.height + first) * row_values;
    float* to = dx + row * s.in_width() * channels;
    const std::int64_t rows = std::min<std::int64_t>(2, s.height - first);
    for (std::int64_t column = 0; column < s.width; column += 2, to += channels) {
      const std::int64_t columns = std::min<std::int64_t>(2, s.width - column);
      const float* repeated = from + column * channels;
      for_vectors(channels, [=](const auto& part, std::int64_t c) HWY_ATTR {
        Vector sum = hn::Zero(lanes);
        for (std::int64_t i = 0; i < rows; ++i)
          for (std::int64_t j = 0; j < columns; ++j)
            sum = hn::Add(sum, part.load(repeated + i * row_values + j * channels + c));
        part.store(sum, to + c);
      });
    }
  };
  parallel_for_picture_rows(s.batch * s.in_height(), 4 * s.in_width() * channels, write);
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
