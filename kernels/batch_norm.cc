// Batch normalisation (Ioffe & Szegedy 2015) over Highway vectors. x[rows, channels] is cut into
// tasks of rows that fit the second-level cache; sums are in float within a task and in double, in
// order of tasks, between them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cc"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/batch_norm-inl.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

// One pass over distances from the mean of the first rows (Chan, Golub, LeVeque 1983, shifted
// data). That lies no further than √rows deviations from the mean of all, so the squares lose no
// more than the sum of `rows` numbers does.
void take_moments(Moments out, const float* x, RowShape rows) {
  const LongRows shape(rows);
  ChannelSums sums(shape);
  // Of four rows, or four times the first.
  const std::int64_t step = rows.rows >= 4 ? rows.channels : 0;
  const RepeatedParameters near_mean(shape, [=](std::int64_t c) {
    return 0.25f * ((x[c] + x[c + step]) + (x[c + 2 * step] + x[c + 3 * step]));
  });
  const float* m = near_mean.data();
  sums.add_up(0, rows.rows,
              [=](const auto& part, Vector& a, Vector& b, std::int64_t i, std::int64_t c) HWY_ATTR {
                const Vector distance = hn::Sub(part.load(x + i), part.load(m + c));
                const Vector kept = part.keep(distance, hn::Zero(lanes));
                a = hn::Add(a, kept);
                b = hn::MulAdd(kept, kept, b);
              });
  const double count = static_cast<double>(rows.rows);
  for (std::int64_t c = 0; c < rows.channels; ++c) {
    out.mean[c] = static_cast<double>(m[c]) + sums.sum[c] / count;
    out.squares[c] = std::max(0.0, sums.sum2[c] - sums.sum[c] * sums.sum[c] / count);
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

// activation(γ (x[i] - mean) / σ + β)
template <Activation kActivation>
struct Normalise {
  const float *x, *means, *scales, *shifts;

  Normalise(const float* of_x, const ChannelParameters& p)
      : x(of_x), means(p.means.data()), scales(p.scales.data()), shifts(p.shifts.data()) {}

  template <typename Piece>
  HWY_INLINE Vector at(const Piece& part, std::int64_t i, std::int64_t c) const {
    const Vector centred = hn::Sub(part.load(x + i), part.load(means + c));
    Vector y = hn::MulAdd(centred, part.load(scales + c), part.load(shifts + c));
    if constexpr (kActivation != Activation::none) y = at_least(hn::Zero(lanes), y);
    if constexpr (kActivation == Activation::relu6) y = at_most(hn::Set(lanes, 6.0f), y);
    return y;
  }
};

// dy where the activation let something through, else 0: from x, by the arithmetic of Normalise.
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

  template <typename Piece>
  HWY_INLINE Values at(const Piece& part, std::int64_t i, std::int64_t c) const {
    const Vector g = part.load(dy + i);
    const Vector centred = hn::Sub(part.load(x + i), part.load(means + c));
    if constexpr (kActivation == Activation::none) return {g, centred};
    const Vector z = hn::MulAdd(centred, part.load(scales + c), part.load(shifts + c));
    auto passes = hn::Gt(z, hn::Zero(lanes));
    if constexpr (kActivation == Activation::relu6)
      passes = hn::And(passes, hn::Lt(z, hn::Set(lanes, 6.0f)));
    return {hn::IfThenElseZero(passes, g), centred};
  }
};

// Adds dz to a and dz (x - mean) to b.
template <Activation kActivation>
struct ParameterGradients {
  BeforeActivation<kActivation> before;

  template <typename Piece>
  HWY_INLINE void operator()(const Piece& part, Vector& a, Vector& b, std::int64_t i,
                             std::int64_t c) const {
    const auto [g, centred] = before.at(part, i, c);
    a = hn::Add(a, g);
    b = hn::MulAdd(g, centred, b);
  }
};

// From the sums that ParameterGradients takes.
void store_parameter_gradients(float* dgamma, float* dbeta, const double* sum,
                               const double* product, const std::vector<double>& inverse) {
  for (std::size_t c = 0; c < inverse.size(); ++c) {
    dbeta[c] = static_cast<float>(sum[c]);
    dgamma[c] = static_cast<float>(product[c] * inverse[c]);
  }
}

template <Activation kActivation>
struct InputGradient {
  BeforeActivation<kActivation> before;
  const float *of_x, *constants;

  InputGradient(const BeforeActivation<kActivation>& of, const GradientFactors& factors)
      : before(of), of_x(factors.of_x.data()), constants(factors.constants.data()) {}

  template <typename Piece>
  HWY_INLINE Vector at(const Piece& part, std::int64_t i, std::int64_t c) const {
    const auto [g, centred] = before.at(part, i, c);
    const Vector through = hn::MulAdd(centred, part.load(of_x + c), part.load(constants + c));
    return hn::MulAdd(part.load(before.scales + c), g, through);
  }
};

template <Activation kActivation>
void backward(float* dx, float* dgamma, float* dbeta, const float* dy, const float* x,
              const BatchNorm<float>& layer, RowShape shape) {
  const LongRows rows(shape);
  const ChannelParameters parameters(rows, layer);
  const BeforeActivation<kActivation> before(dy, x, parameters);
  std::vector<double> sum(shape.channels), product(shape.channels);
  sum_rows(rows, sum.data(), product.data(), ParameterGradients<kActivation>{before});
  store_parameter_gradients(dgamma, dbeta, sum.data(), product.data(), parameters.inverse);
  const GradientFactors factors(rows, parameters, layer.gamma, dgamma, dbeta,
                                static_cast<double>(shape.rows));
  const InputGradient<kActivation> gradient(before, factors);
  parallel_write_rows(dx, dx == dy || dx == x, rows,
                      [=](const auto& part, std::int64_t i, std::int64_t c)
                          HWY_ATTR { return gradient.at(part, i, c); });
}

template <Activation kActivation>
void frozen_backward(float* dx, float* dgamma, float* dbeta, const float* dy, const float* x,
                     const BatchNorm<float>& layer, RowShape shape) {
  const LongRows rows(shape);
  const ChannelParameters parameters(rows, layer);
  const BeforeActivation<kActivation> before(dy, x, parameters);
  const auto scale_task = [=, &rows](std::int64_t begin, std::int64_t end) HWY_ATTR {
    write_rows<Whole>(dx, rows, begin, end,
                      [=](const auto& part, std::int64_t i, std::int64_t c) HWY_ATTR {
                        const Vector g = before.at(part, i, c).gradient;
                        return hn::Mul(g, part.load(before.scales + c));
                      });
  };
  std::vector<double> sum(shape.channels), product(shape.channels);
  sum_rows(rows, sum.data(), product.data(), ParameterGradients<kActivation>{before}, scale_task);
  store_parameter_gradients(dgamma, dbeta, sum.data(), product.data(), parameters.inverse);
}

}  // namespace

ChannelParameters::ChannelParameters(const LongRows& rows, const BatchNorm<float>& layer)
    : inverse(inverse_deviation(layer.variance, layer.epsilon, rows.channels)),
      means(rows, [&](std::int64_t c) { return layer.mean[c]; }),
      scales(rows, [&](std::int64_t c) { return static_cast<float>(layer.gamma[c] * inverse[c]); }),
      shifts(rows, [&](std::int64_t c) { return layer.beta[c]; }) {}

GradientFactors::GradientFactors(const LongRows& shape, const ChannelParameters& p,
                                 const float* gamma, const float* dgamma, const float* dbeta,
                                 double rows)
    : of_x(shape,
           [&](std::int64_t c) {
             const double inverse = p.inverse[c];
             return static_cast<float>(-gamma[c] * inverse * inverse * dgamma[c] / rows);
           }),
      constants(shape, [&](std::int64_t c) {
        return static_cast<float>(-gamma[c] * p.inverse[c] * dbeta[c] / rows);
      }) {}

void PartialMoments::take(std::int64_t index, const float* x, std::int64_t rows) {
  counts_[index] = static_cast<double>(rows);
  take_moments(moments(index), x, {rows, channels_});
}

// Chan, Golub, LeVeque 1983, eq. 1.5: moments of two sets give those of their union.
void PartialMoments::store(float* mean, float* variance) {
  const std::int64_t channels = channels_;
  std::vector<double> all(2 * channels);
  double seen = 0;
  for (std::int64_t index = 0; index < std::ssize(counts_); ++index) {
    if (counts_[index] == 0) continue;
    const double share = counts_[index] / (seen + counts_[index]), weight = seen * share;
    const Moments more = moments(index);
    for (std::int64_t c = 0; c < channels; ++c) {
      const double distance = more.mean[c] - all[c];
      all[c] += distance * share;
      all[channels + c] += more.squares[c] + distance * distance * weight;
    }
    seen += counts_[index];
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    mean[c] = static_cast<float>(all[c]);
    variance[c] = static_cast<float>(all[channels + c] / seen);
  }
}

void Normaliser::run(float* y, const float* x, std::int64_t rows) const {
  with_activation(activation_, [&](auto constant) HWY_ATTR {
    const Normalise<constant()> normalise(x, parameters_);
    write_rows<Whole>(y, shape_, 0, rows,
                      [=](const auto& part, std::int64_t i, std::int64_t c)
                          HWY_ATTR { return normalise.at(part, i, c); });
  });
}

Differentiator::Differentiator(const BatchNormGradient<float>& g, std::int64_t rows,
                               std::int64_t channels)
    : gradient_(g),
      shape_({0, channels}),
      parameters_(shape_, g.layer),
      factors_(
          shape_, parameters_, g.layer.gamma, g.dgamma, g.dbeta,
          g.layer.fixed ? std::numeric_limits<double>::infinity() : static_cast<double>(rows)) {}

void Differentiator::run(float* dz, std::int64_t first, std::int64_t rows) const {
  with_activation(gradient_.layer.activation, [&](auto constant) HWY_ATTR {
    const std::int64_t begin = first * shape_.channels;
    const InputGradient<constant()> gradient(
        {gradient_.dy + begin, gradient_.z + begin, parameters_}, factors_);
    write_rows<Whole>(dz, shape_, 0, rows,
                      [=](const auto& part, std::int64_t i, std::int64_t c)
                          HWY_ATTR { return gradient.at(part, i, c); });
  });
}

void PartialParameterGradients::take(std::int64_t index, const float* dy, const float* x,
                                     std::int64_t rows) {
  ChannelSums sums(shape_);
  with_activation(activation_, [&](auto constant) HWY_ATTR {
    sums.add_up(0, rows, ParameterGradients<constant()>{{dy, x, parameters_}});
  });
  double* mine = values_.data() + index * 2 * shape_.channels;
  std::copy(sums.sum.begin(), sums.sum.end(), mine);
  std::copy(sums.sum2.begin(), sums.sum2.end(), mine + shape_.channels);
}

void PartialParameterGradients::store(float* dgamma, float* dbeta) const {
  const std::int64_t length = 2 * shape_.channels;
  std::vector<double> all(length);
  for (std::size_t i = 0; i < values_.size(); ++i) all[i % length] += values_[i];
  store_parameter_gradients(dgamma, dbeta, all.data(), all.data() + shape_.channels,
                            parameters_.inverse);
}

void batch_norm_statistics(float* mean, float* variance, const float* x, RowShape shape) {
  const LongRows rows(shape);
  PartialMoments moments(shape.channels, rows.tasks());
  parallel_for_rows(rows, [&](std::int64_t begin, std::int64_t end) {
    moments.take(begin / rows.task_rows, x + begin * shape.channels, end - begin);
  });
  moments.store(mean, variance);
}

void batch_norm(float* y, const float* x, const float* mean, const float* variance,
                const float* gamma, const float* beta, double epsilon, Activation activation,
                RowShape shape) {
  const LongRows rows(shape);
  const ChannelParameters parameters(rows, {mean, variance, gamma, beta, epsilon, activation});
  with_activation(activation, [&](auto constant) {
    const Normalise<constant()> normalise(x, parameters);
    parallel_write_rows(y, y == x, rows,
                        [=](const auto& part, std::int64_t i, std::int64_t c)
                            HWY_ATTR { return normalise.at(part, i, c); });
  });
}

void batch_norm_parameter_gradients(float* dgamma, float* dbeta, const float* dy, const float* x,
                                    BatchNorm<float> layer, RowShape shape) {
  const LongRows rows(shape);
  const ChannelParameters parameters(rows, layer);
  std::vector<double> sum(shape.channels), product(shape.channels);
  with_activation(layer.activation, [&](auto constant) {
    sum_rows(rows, sum.data(), product.data(), ParameterGradients<constant()>{{dy, x, parameters}});
  });
  store_parameter_gradients(dgamma, dbeta, sum.data(), product.data(), parameters.inverse);
}

void batch_norm_backward(float* dx, float* dgamma, float* dbeta, const float* dy, const float* x,
                         const float* mean, const float* variance, const float* gamma,
                         const float* beta, double epsilon, Activation activation, RowShape shape) {
  with_activation(activation, [&](auto constant) {
    backward<constant()>(dx, dgamma, dbeta, dy, x,
                         {mean, variance, gamma, beta, epsilon, activation}, shape);
  });
}

void batch_norm_frozen_backward(float* dx, float* dgamma, float* dbeta, const float* dy,
                                const float* x, const float* mean, const float* variance,
                                const float* gamma, const float* beta, double epsilon,
                                Activation activation, RowShape shape) {
  with_activation(activation, [&](auto constant) {
    frozen_backward<constant()>(dx, dgamma, dbeta, dy, x,
                                {mean, variance, gamma, beta, epsilon, activation}, shape);
  });
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
