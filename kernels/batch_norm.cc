// Batch normalisation (Ioffe & Szegedy 2015) over Highway vectors. x[rows, channels] is cut into
// tasks of rows that fit the second-level cache; sums are in float within a task and in double, in
// order of tasks, between them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm.cc"
#include <hwy/foreach_target.h>

#include "kernels/batch_norm-inl.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

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
