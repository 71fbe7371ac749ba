// Cases of kernels/pointwise_batch_norm.cc and kernels/depthwise_batch_norm.cc.
#include "tests/kernels/cases.h"
#include "tests/kernels/conv_shapes.h"

namespace maskwatch::kernel_cases {
namespace {

using kernel_cases::label;
using kernels::BatchNorm;
using kernels::BatchNormGradient;

constexpr double epsilon = 1e-3;

// What both kinds of convolution have in common.
struct Layer {
  std::int64_t in_rows, in_channels, out_rows, out_channels, weights, terms;

  RowShape in() const { return {in_rows, in_channels}; }
  RowShape out() const { return {out_rows, out_channels}; }
  std::int64_t in_size() const { return in_rows * in_channels; }
  std::int64_t out_size() const { return out_rows * out_channels; }
  double forward_flops() const { return 2.0 * out_size() * terms; }
};

Layer layer_of(const GemmShape& s) { return {s.m, s.k, s.m, s.n, s.k * s.n, s.k}; }
Layer layer_of(const ConvShape& s) {
  return {s.batch * s.in_height * s.in_width,
          s.in_channels,
          s.batch * s.out_height * s.out_width,
          s.out_channels,
          9 * s.out_channels,
          9};
}

std::string label(const GemmShape& s) {
  return std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k);
}

constexpr auto forward_of = [](const auto& k, auto z, auto mean, auto variance, auto x, auto before,
                               auto w, const auto& shape) {
  if constexpr (std::is_same_v<std::decay_t<decltype(shape)>, GemmShape>)
    k.pointwise_batch_norm(z, mean, variance, x, before, w, shape);
  else
    k.depthwise3x3_batch_norm(z, mean, variance, x, before, w, shape);
};

constexpr auto backward_of = [](const auto& k, auto dx, auto dw, auto dgamma, auto dbeta,
                                const auto& gradient, auto x, auto before, auto w, auto residual,
                                const auto& shape) {
  if constexpr (std::is_same_v<std::decay_t<decltype(shape)>, GemmShape>)
    k.pointwise_batch_norm_backward(dx, dw, dgamma, dbeta, gradient, x, before, w, residual, shape);
  else
    k.depthwise3x3_batch_norm_backward(dx, dw, dgamma, dbeta, gradient, x, before, w, shape);
};

template <typename T>
BatchNorm<T> batch_norm(T* const* p, Activation activation, bool fixed = false) {
  return {p[0], p[1], p[2], p[3], epsilon, activation, fixed};
}

// mean, variance, gamma, beta
void add_parameters(std::vector<Operand>& operands, std::int64_t channels, Role statistics) {
  operands.insert(operands.end(), {{statistics, channels},
                                   {statistics, channels, Fill::positive},
                                   input(channels),
                                   input(channels)});
}

// So that differences become sums of absolute values.
void negate(double* p, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) p[i] = -p[i];
}

// Operands: 0 z, 1 mean, 2 variance | 3 x, 4 w, 5 … 8 the batch norm before.
template <typename Shape>
Case forward_case(std::string name, Shape shape, std::optional<Activation> before,
                  bool statistics = true) {
  const Layer l = layer_of(shape);
  const std::int64_t c = before ? l.in_channels : 0, moments = statistics ? l.out_channels : 0;
  std::vector<Operand> operands = {output(l.out_size()), output(moments), output(moments),
                                   input(l.in_size()), input(l.weights)};
  add_parameters(operands, c, Role::input);
  const auto run = [=](const auto& k, auto p, Activation activation) {
    const auto layer = batch_norm(p + 5, activation);
    forward_of(k, p[0], statistics ? p[1] : nullptr, statistics ? p[2] : nullptr, p[3],
               before ? &layer : nullptr, p[4], shape);
  };
  return Case(name + (before ? " before " + std::to_string(static_cast<int>(*before)) : "") +
                  (statistics ? "" : " no statistics"),
              operands,
              [=](const auto& k, auto p) { run(k, p, before.value_or(Activation::none)); })
      .terms(static_cast<double>(l.terms) + 8 + (statistics ? static_cast<double>(l.out_rows) : 0))
      .magnitude([=](const auto& k, auto p) {
        negate(p[5], c);
        run(k, p, Activation::none);
        if (!statistics) return;
        // The variance is a difference of squares.
        for (std::int64_t o = 0; o < l.out_channels; ++o) {
          p[2][o] = 0;
          for (std::int64_t i = o; i < l.out_size(); i += l.out_channels)
            p[2][o] += 2 * p[0][i] * p[0][i] / static_cast<double>(l.out_rows);
        }
      });
}

// Operands: 0 dx, 1 dw, 2 dgamma, 3 dbeta | 4 dy, 5 z, 6 … 9 the batch norm behind, 10 its dgamma,
// 11 its dbeta, 12 x, 13 … 16 the batch norm before, 17 w, 18 residual.
struct BackwardOptions {
  std::optional<Activation> before;
  Activation behind = Activation::relu6;
  bool input = true, residual = false, fixed = false;
};

template <typename Shape>
std::vector<Operand> backward_operands(const Shape& shape, const BackwardOptions& o,
                                       Role intermediate) {
  const Layer l = layer_of(shape);
  const std::int64_t sums = o.before && o.input ? l.in_channels : 0;
  std::vector<Operand> operands = {output(o.input ? l.in_size() : 0), output(l.weights),
                                   output(sums), output(sums), input(l.out_size())};
  operands.push_back({intermediate, l.out_size()});
  add_parameters(operands, l.out_channels, intermediate);
  operands.push_back({intermediate, l.out_channels});
  operands.push_back({intermediate, l.out_channels});
  operands.push_back(input(l.in_size()));
  add_parameters(operands, o.before ? l.in_channels : 0, Role::input);
  operands.push_back(input(l.weights));
  operands.push_back(input(o.residual ? l.in_size() : 0));
  return operands;
}

template <typename Shape, typename K, typename T>
void run_backward(const K& k, T* const* p, const Shape& shape, const BackwardOptions& o,
                  Activation before, Activation behind) {
  const BatchNormGradient<T> gradient = {p[4], p[5], batch_norm(p + 6, behind, o.fixed), p[10],
                                         p[11]};
  const BatchNorm<T> layer = batch_norm(p + 13, before);
  backward_of(k, o.input ? p[0] : nullptr, p[1], p[2], p[3], gradient, p[12],
              o.before ? &layer : nullptr, p[17], o.residual ? p[18] : nullptr, shape);
}

template <typename Shape>
Run<double> backward_magnitude(const Shape& shape, const BackwardOptions& o) {
  const Layer l = layer_of(shape);
  return [=](const auto& k, auto p) {
    negate(p[6], l.out_channels);
    negate(p[10], l.out_channels);
    negate(p[11], l.out_channels);
    negate(p[13], o.before ? l.in_channels : 0);
    run_backward(k, p, shape, o, Activation::none, Activation::none);
  };
}

template <typename Shape>
Case backward_case(const std::string& name, Shape shape, BackwardOptions o) {
  const Layer l = layer_of(shape);
  return Case(name + (o.before ? " before " + std::to_string(static_cast<int>(*o.before)) : "") +
                  " behind " + std::to_string(static_cast<int>(o.behind)) +
                  (o.residual ? " residual" : "") + (o.fixed ? " fixed" : "") +
                  (o.input ? "" : " weights alone"),
              backward_operands(shape, o, Role::input),
              [=](const auto& k, auto p) {
                run_backward(k, p, shape, o, o.before.value_or(Activation::none), o.behind);
              })
      .terms(16 + static_cast<double>(l.terms * l.out_channels + l.out_rows))
      .magnitude(backward_magnitude(shape, o));
}

// The whole layer, from x to what is behind its own batch norm, whose statistics are the batch's.
template <typename Shape>
Case differentiating_case(const std::string& name, Shape shape, BackwardOptions o) {
  const Layer l = layer_of(shape);
  const auto forward = [=](const auto& k, auto z, auto mean, auto variance, auto p) {
    const auto before = batch_norm(p + 13, o.before.value_or(Activation::none));
    forward_of(k, z, mean, variance, p[12], o.before ? &before : nullptr, p[17], shape);
  };
  Gradient gradient = {.upstream = 4,
                       .pairs = {{1, 17}},
                       .forward_size = l.out_size(),
                       .forward = [=](const auto& k, double* y, auto p) {
                         std::vector<double> mean(l.out_channels), variance(l.out_channels);
                         forward(k, y, mean.data(), variance.data(), p);
                         k.batch_norm(y, y, mean.data(), variance.data(), p[8], p[9], epsilon,
                                      o.behind, l.out());
                       }};
  if (o.before)
    gradient.pairs.insert(gradient.pairs.end(), {{2, 15}, {3, 16}});
  else
    gradient.pairs.push_back({0, 12});
  std::vector<Operand> operands = backward_operands(shape, o, Role::scratch);
  operands[8].role = operands[9].role = Role::input;
  const auto prepare = [=](const auto& k, auto p) {
    forward(k, p[5], p[6], p[7], p);
    k.batch_norm_parameter_gradients(p[10], p[11], p[4], p[5], batch_norm(p + 6, o.behind),
                                     l.out());
  };
  return Case(name + " differentiated", operands,
              [=](const auto& k, auto p) {
                prepare(k, p);
                run_backward(k, p, shape, o, o.before.value_or(Activation::none), o.behind);
              })
      .terms(64 + static_cast<double>(l.terms * l.out_channels + l.out_rows))
      .magnitude([=](const auto& k, auto p) {
        prepare(k, p);
        for (const int i : {5, 10, 11})
          for (std::int64_t j = 0; j < (i == 5 ? l.out_size() : l.out_channels); ++j)
            p[i][j] = std::abs(p[i][j]);
        backward_magnitude(shape, o)(k, p);
      })
      .differentiates(gradient);
}

std::vector<GemmShape> pointwise_shapes() {
  return {{1, 1, 1},      {5, 3, 7},     {30, 17, 33},  {33, 40, 5},
          {200, 24, 144}, {129, 96, 16}, {1001, 65, 3}, {17000, 6, 9}};
}

std::vector<ConvShape> all_depthwise_shapes() {
  std::vector<ConvShape> shapes = depthwise_shapes();
  shapes.push_back(conv_shape({1, 37, 11, 20, 20, 3, 1, 1}));  // in pieces
  shapes.push_back(conv_shape({2, 50, 9, 35, 35, 3, 2, 1}));   // the same
  shapes.push_back(conv_shape({17, 5, 4, 3, 3, 3, 1, 1}));     // more pictures than parts
  shapes.push_back(conv_shape({1, 9, 500, 33, 33, 3, 1, 1}));  // strips of few rows
  return shapes;
}

constexpr GemmShape expansion = {32 * 56 * 56, 144, 24}, projection = {32 * 56 * 56, 24, 144};
const ConvShape wide = conv_shape({32, 56, 56, 144, 144, 3, 1, 1});
const ConvShape strided = keras_shape(32, 112, 96, 96);

template <typename Shape>
std::vector<Case> forward_cases(const std::vector<Shape>& shapes,
                                const std::vector<Shape>& benchmarks) {
  std::vector<Case> cases;
  for (const Shape& s : shapes) {
    cases.push_back(forward_case(label(s), s, std::nullopt));
    for (const Activation a : {Activation::none, Activation::relu, Activation::relu6})
      cases.push_back(forward_case(label(s), s, a));
    cases.push_back(forward_case(label(s), s, Activation::relu6, false));
  }
  for (const Shape& s : benchmarks)
    cases.push_back(
        forward_case(label(s), s, Activation::relu6).benchmark(layer_of(s).forward_flops()));
  return cases;
}

template <typename Shape>
std::vector<Case> backward_cases(const std::vector<Shape>& shapes,
                                 const std::vector<Shape>& benchmarks, bool residuals) {
  std::vector<Case> cases;
  for (const Shape& s : shapes) {
    const std::string name = label(s);
    cases.push_back(backward_case(name, s, {.before = {}}));
    cases.push_back(backward_case(name, s, {.before = {}, .input = false}));
    cases.push_back(backward_case(name, s, {.before = Activation::relu6}));
    cases.push_back(backward_case(name, s, {.before = Activation::relu, .input = false}));
    cases.push_back(backward_case(
        name, s, {.before = Activation::none, .behind = Activation::none, .fixed = true}));
    if (residuals)
      cases.push_back(
          backward_case(name, s, {.before = {}, .behind = Activation::relu, .residual = true}));
    if (layer_of(s).in_size() < 300 && layer_of(s).out_rows > 1) {
      cases.push_back(differentiating_case(name, s, {.before = {}}));
      cases.push_back(differentiating_case(name, s, {.before = Activation::relu6}));
    }
  }
  for (const Shape& s : benchmarks)
    cases.push_back(backward_case(label(s), s, {.before = Activation::relu6})
                        .benchmark(2 * layer_of(s).forward_flops()));
  return cases;
}

}  // namespace

std::vector<Case> cases_pointwise_batch_norm() {
  return forward_cases(pointwise_shapes(), {expansion, projection});
}

std::vector<Case> cases_depthwise3x3_batch_norm() {
  return forward_cases(all_depthwise_shapes(), {wide, strided});
}

std::vector<Case> cases_pointwise_batch_norm_backward() {
  return backward_cases(pointwise_shapes(), {expansion, projection}, true);
}

std::vector<Case> cases_depthwise3x3_batch_norm_backward() {
  return backward_cases(all_depthwise_shapes(), {wide, strided}, false);
}

}  // namespace maskwatch::kernel_cases
