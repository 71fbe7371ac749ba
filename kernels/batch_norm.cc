// Batch normalisation (Ioffe & Szegedy 2015) over Highway vectors. x[rows, channels] is cut into
// tasks of rows that fit the second-level cache; sums are in float within a task and in double, in
// order of tasks, between them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cc"
#include <hwy/foreach_target.h>

#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels/simd-inl.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace kernels::HWY_NAMESPACE {
namespace {

// Mean and sum of squared distances from it, of one task's rows, for each channel.
struct TaskMoments {
  double* mean;
  double* squares;
};

// Two passes with correction (Chan, Golub, LeVeque 1983, eq. 1.7); the second finds the rows in the
// cache.
void task_moments(TaskMoments out, const LongRows& shape, const float* x, std::int64_t begin,
                  std::int64_t end) {
  ChannelSums sums(shape);
  const float* rows = x + begin * shape.channels;
  const double count = static_cast<double>(end - begin);
  sums.add_up(begin, end,
              [=](const auto& part, Vector& a, Vector&, std::int64_t i, std::int64_t)
                  HWY_ATTR { a = hn::Add(a, part.load(rows + i)); });
  const RepeatedParameters near_mean(
      shape, [&](std::int64_t c) { return static_cast<float>(sums.sum[c] / count); });
  const float* m = near_mean.data();
  sums.add_up(begin, end,
              [=](const auto& part, Vector& a, Vector& b, std::int64_t i, std::int64_t c) HWY_ATTR {
                const Vector distance = hn::Sub(part.load(rows + i), part.load(m + c));
                const Vector kept = part.keep(distance, hn::Zero(Floats()));
                a = hn::Add(a, kept);
                b = hn::MulAdd(kept, kept, b);
              });
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    out.mean[c] = static_cast<double>(m[c]) + sums.sum[c] / count;
    out.squares[c] = sums.sum2[c] - sums.sum[c] * sums.sum[c] / count;
  }
}

// 1 / σ for each channel.
std::vector<double> inverse_deviation(const float* variance, double epsilon,
                                      std::int64_t channels) {
  std::vector<double> inverse(channels);
  for (std::int64_t c = 0; c < channels; ++c)
    inverse[c] = 1 / std::sqrt(static_cast<double>(variance[c]) + epsilon);
  return inverse;
}

template <typename Activate>
void normalise(float* y, const float* x, const float* mean, const float* variance,
               const float* gamma, const float* beta, double epsilon, RowShape shape,
               const Activate& activate) {
  const LongRows rows(shape);
  const std::vector<double> inverse = inverse_deviation(variance, epsilon, shape.channels);
  const RepeatedParameters means(rows, [=](std::int64_t c) { return mean[c]; });
  const RepeatedParameters scales(
      rows, [&](std::int64_t c) { return static_cast<float>(gamma[c] * inverse[c]); });
  const RepeatedParameters shifts(rows, [=](std::int64_t c) { return beta[c]; });
  const float *m = means.data(), *s = scales.data(), *b = shifts.data();
  parallel_for_output_rows(
      y, y == x, rows, [=](const auto& part, std::int64_t i, std::int64_t c) HWY_ATTR {
        const Vector centred = hn::Sub(part.load(x + i), part.load(m + c));
        part.store(activate(hn::MulAdd(centred, part.load(s + c), part.load(b + c))), y + i);
      });
}

// What the gradient of one layer needs of each channel, repeated to long rows.
struct ChannelParameters {
  ChannelParameters(const LongRows& rows, const float* mean, const float* variance,
                    const float* gamma, const float* beta, double epsilon)
      : inverse(inverse_deviation(variance, epsilon, rows.channels)),
        means(rows, [=](std::int64_t c) { return mean[c]; }),
        scales(rows, [&](std::int64_t c) { return static_cast<float>(gamma[c] * inverse[c]); }),
        shifts(rows, [=](std::int64_t c) { return beta[c]; }) {}

  std::vector<double> inverse;
  RepeatedParameters means, scales, shifts;
};

// dy where the activation let something through, else 0: from x, by the arithmetic of normalise().
template <Activation kActivation>
struct BeforeActivation {
  const float *dy, *x, *means, *scales, *shifts;

  BeforeActivation(const float* of_dy, const float* of_x, const ChannelParameters& p)
      : dy(of_dy),
        x(of_x),
        means(p.means.data()),
        scales(p.scales.data()),
        shifts(p.shifts.data()) {}

  struct Values {
    Vector gradient, centred;
  };

  template <typename Lanes>
  HWY_INLINE Values at(const Lanes& part, std::int64_t i, std::int64_t c) const {
    const Floats d;
    const Vector g = part.load(dy + i);
    const Vector centred = hn::Sub(part.load(x + i), part.load(means + c));
    if constexpr (kActivation == Activation::none) return {g, centred};
    const Vector z = hn::MulAdd(centred, part.load(scales + c), part.load(shifts + c));
    auto passes = hn::Gt(z, hn::Zero(d));
    if constexpr (kActivation == Activation::relu6)
      passes = hn::And(passes, hn::Lt(z, hn::Set(d, 6.0f)));
    return {hn::IfThenElseZero(passes, g), centred};
  }
};

// Adds dz to a and dz (x - mean) to b.
template <Activation kActivation>
struct ParameterGradients {
  BeforeActivation<kActivation> before;

  template <typename Lanes>
  HWY_INLINE void operator()(const Lanes& part, Vector& a, Vector& b, std::int64_t i,
                             std::int64_t c) const {
    const auto [g, centred] = before.at(part, i, c);
    a = hn::Add(a, g);
    b = hn::MulAdd(g, centred, b);
  }
};

// From the sums that ParameterGradients takes.
void store_parameter_gradients(float* dgamma, float* dbeta, const std::vector<double>& sum,
                               const std::vector<double>& product,
                               const std::vector<double>& inverse) {
  for (std::size_t c = 0; c < sum.size(); ++c) {
    dbeta[c] = static_cast<float>(sum[c]);
    dgamma[c] = static_cast<float>(product[c] * inverse[c]);
  }
}

// dx = γ/σ (dz - (Σdz + (x - mean)/σ · dgamma) / rows), as a·dz + b·(x - mean) + c.
template <Activation kActivation>
void backward(float* dx, float* dgamma, float* dbeta, const float* dy, const float* x,
              const float* mean, const float* variance, const float* gamma, const float* beta,
              double epsilon, RowShape shape) {
  const LongRows rows(shape);
  const double count = static_cast<double>(shape.rows);
  const ChannelParameters parameters(rows, mean, variance, gamma, beta, epsilon);
  const BeforeActivation<kActivation> before(dy, x, parameters);
  const std::vector<double>& inverse = parameters.inverse;
  std::vector<double> sum(shape.channels), product(shape.channels);
  sum_rows(rows, sum.data(), product.data(), ParameterGradients<kActivation>{before});
  store_parameter_gradients(dgamma, dbeta, sum, product, inverse);
  const auto factor = [&](std::int64_t c) { return gamma[c] * inverse[c]; };
  const RepeatedParameters of_x(rows, [&](std::int64_t c) {
    return static_cast<float>(-factor(c) * inverse[c] * inverse[c] * product[c] / count);
  });
  const RepeatedParameters constant(
      rows, [&](std::int64_t c) { return static_cast<float>(-factor(c) * sum[c] / count); });
  const float *a = before.scales, *b = of_x.data(), *k = constant.data();
  parallel_for_output_rows(dx, dx == dy || dx == x, rows,
                           [=](const auto& part, std::int64_t i, std::int64_t c) HWY_ATTR {
                             const auto [g, centred] = before.at(part, i, c);
                             const Vector through =
                                 hn::MulAdd(centred, part.load(b + c), part.load(k + c));
                             part.store(hn::MulAdd(part.load(a + c), g, through), dx + i);
                           });
}

template <Activation kActivation>
void frozen_backward(float* dx, float* dgamma, float* dbeta, const float* dy, const float* x,
                     const float* mean, const float* variance, const float* gamma,
                     const float* beta, double epsilon, RowShape shape) {
  const LongRows rows(shape);
  const ChannelParameters parameters(rows, mean, variance, gamma, beta, epsilon);
  const BeforeActivation<kActivation> before(dy, x, parameters);
  const auto scale_task = [=, &rows](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for_row_vectors<Whole>(rows, begin, end,
                           [=](const auto& part, std::int64_t i, std::int64_t c) HWY_ATTR {
                             const Vector g = before.at(part, i, c).gradient;
                             part.store(hn::Mul(g, part.load(before.scales + c)), dx + i);
                           });
  };
  std::vector<double> sum(shape.channels), product(shape.channels);
  sum_rows(rows, sum.data(), product.data(), ParameterGradients<kActivation>{before}, scale_task);
  store_parameter_gradients(dgamma, dbeta, sum, product, parameters.inverse);
}

// body(constant) for the activation as a constant.
template <typename Body>
void with_activation(Activation activation, const Body& body) {
  switch (activation) {
    case Activation::relu:
      return body(std::integral_constant<Activation, Activation::relu>());
    case Activation::relu6:
      return body(std::integral_constant<Activation, Activation::relu6>());
    default:
      return body(std::integral_constant<Activation, Activation::none>());
  }
}

}  // namespace

void batch_norm_statistics(float* mean, float* variance, const float* x, RowShape shape) {
  const LongRows rows(shape);
  const std::int64_t channels = shape.channels;
  std::vector<double> partial(2 * channels * rows.tasks());
  const auto moments_of = [&](std::int64_t task) {
    double* mine = partial.data() + task * 2 * channels;
    return TaskMoments{mine, mine + channels};
  };
  parallel_for_rows(rows, [&](std::int64_t begin, std::int64_t end) {
    task_moments(moments_of(begin / rows.task_rows), rows, x, begin, end);
  });
  // Chan, Golub, LeVeque 1983, eq. 1.5: moments of two sets give those of their union.
  std::vector<double> all(2 * channels);
  double seen = 0;
  for (std::int64_t task = 0; task < rows.tasks(); ++task) {
    const double count =
        static_cast<double>(std::min(rows.task_rows, shape.rows - task * rows.task_rows));
    const double share = count / (seen + count), weight = seen * share;
    const TaskMoments more = moments_of(task);
    for (std::int64_t c = 0; c < channels; ++c) {
      const double distance = more.mean[c] - all[c];
      all[c] += distance * share;
      all[channels + c] += more.squares[c] + distance * distance * weight;
    }
    seen += count;
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    mean[c] = static_cast<float>(all[c]);
    variance[c] = static_cast<float>(all[channels + c] / seen);
  }
}

void batch_norm(float* y, const float* x, const float* mean, const float* variance,
                const float* gamma, const float* beta, double epsilon, Activation activation,
                RowShape shape) {
  const auto with = [=](const auto& activate) {
    normalise(y, x, mean, variance, gamma, beta, epsilon, shape, activate);
  };
  switch (activation) {
    case Activation::relu:
      return with([](Vector v) HWY_ATTR { return at_least(hn::Zero(Floats()), v); });
    case Activation::relu6:
      return with([](Vector v) HWY_ATTR {
        return at_most(hn::Set(Floats(), 6.0f), at_least(hn::Zero(Floats()), v));
      });
    default:
      return with([](Vector v) HWY_ATTR { return v; });
  }
}

void batch_norm_backward(float* dx, float* dgamma, float* dbeta, const float* dy, const float* x,
                         const float* mean, const float* variance, const float* gamma,
                         const float* beta, double epsilon, Activation activation, RowShape shape) {
  with_activation(activation, [&](auto constant) {
    backward<constant()>(dx, dgamma, dbeta, dy, x, mean, variance, gamma, beta, epsilon, shape);
  });
}

void batch_norm_frozen_backward(float* dx, float* dgamma, float* dbeta, const float* dy,
                                const float* x, const float* mean, const float* variance,
                                const float* gamma, const float* beta, double epsilon,
                                Activation activation, RowShape shape) {
  with_activation(activation, [&](auto constant) {
    frozen_backward<constant()>(dx, dgamma, dbeta, dy, x, mean, variance, gamma, beta, epsilon,
                                shape);
  });
}

}  // namespace kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
