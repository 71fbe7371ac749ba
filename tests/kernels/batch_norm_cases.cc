// Cases of kernels/batch_norm.cc.
#include <cmath>

#include "tests/kernels/cases.h"

namespace maskwatch::kernel_cases {
namespace {

constexpr double epsilon = 1e-3;
constexpr RowShape largest = {32 * 112 * 112, 96};
constexpr RowShape activated_shapes[] = {{3, 1}, {7, 21}, {300, 67}};

std::string label(RowShape s) { return std::to_string(s.rows) + "x" + std::to_string(s.channels); }

constexpr std::int64_t size(RowShape s) { return s.rows * s.channels; }

std::vector<RowShape> shapes() {
  std::vector<RowShape> all = {{1, 1}, {1, 5}, {40, 1}, {6, 1000}, {3000, 40}, {20000, 3}};
  for (std::int64_t channels = 2; channels <= 33; ++channels) all.push_back({7, channels});
  for (std::int64_t channels : {48, 63, 64, 65, 97}) all.push_back({11, channels});
  return all;
}

std::string label(RowShape s, Activation activation) {
  return label(s) + " activation " + std::to_string(static_cast<int>(activation));
}

// Operands of the gradients: 0 dx, 1 dgamma, 2 dbeta | 3 dy, 4 x, 5 mean, 6 variance, 7 gamma, 8
// beta.
std::vector<Operand> backward_operands(RowShape s, Role statistics) {
  const std::int64_t c = s.channels;
  return {output(size(s)),
          output(c),
          output(c),
          input(size(s)),
          input(size(s)),
          {statistics, c},
          {statistics, c, Fill::positive},
          input(c),
          input(c)};
}

// Sums of absolute values: what the terms of dgamma, dbeta and dx add up to. Through the statistics
// (`flow`), dx takes in those sums too.
Run<double> backward_magnitude(RowShape s, bool flow) {
  return [=](const auto&, auto p) {
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const double inverse = 1 / std::sqrt(p[6][c] + epsilon), rows = static_cast<double>(s.rows);
      double sum = 0, product = 0;
      for (std::int64_t i = c; i < size(s); i += s.channels) {
        sum += p[3][i];
        product += p[3][i] * (p[4][i] + p[5][c]) * inverse;
      }
      p[1][c] = product;
      p[2][c] = sum;
      for (std::int64_t i = c; i < size(s); i += s.channels) {
        const double normalised = (p[4][i] + p[5][c]) * inverse;
        const double through = flow ? (sum + normalised * product) / rows : 0;
        p[0][i] = p[7][c] * inverse * (p[3][i] + through);
      }
    }
  };
}

Case fixed_backward_case(RowShape s, Activation activation = Activation::none) {
  Case c = Case(label(s, activation), backward_operands(s, Role::input),
                [=](const auto& k, auto p) {
                  k.batch_norm_frozen_backward(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8],
                                               epsilon, activation, s);
                })
               .aliases(0, 3)
               .terms(8 + static_cast<double>(s.rows))
               .magnitude(backward_magnitude(s, false));
  if (size(s) < 100)
    c.gradient = {.upstream = 3,
                  .pairs = {{0, 4}, {1, 7}, {2, 8}},
                  .forward_size = size(s),
                  .forward = [=](const auto& k, double* y, auto p) {
                    k.batch_norm(y, p[4], p[5], p[6], p[7], p[8], epsilon, activation, s);
                  }};
  return c;
}

Case backward_case(RowShape s, Activation activation = Activation::none) {
  return Case(label(s, activation), backward_operands(s, Role::input),
              [=](const auto& k, auto p) {
                k.batch_norm_backward(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], epsilon,
                                      activation, s);
              })
      .aliases(0, 3)
      .terms(8 + static_cast<double>(s.rows))
      .magnitude(backward_magnitude(s, true));
}

// Statistics of the batch itself, so that the gradient flows through them.
Case backward_through_statistics_case(RowShape s, Activation activation) {
  return Case(label(s, activation) + " with its statistics", backward_operands(s, Role::scratch),
              [=](const auto& k, auto p) {
                k.batch_norm_statistics(p[5], p[6], p[4], s);
                k.batch_norm_backward(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], epsilon,
                                      activation, s);
              })
      .terms(64 + static_cast<double>(s.rows))
      .magnitude([=](const auto& k, auto p) {
        k.batch_norm_statistics(p[5], p[6], p[4], s);
        backward_magnitude(s, true)(k, p);
      })
      .differentiates({.upstream = 3,
                       .pairs = {{0, 4}, {1, 7}, {2, 8}},
                       .forward_size = size(s),
                       .forward = [=](const auto& k, double* y, auto p) {
                         std::vector<double> mean(s.channels), variance(s.channels);
                         k.batch_norm_statistics(mean.data(), variance.data(), p[4], s);
                         k.batch_norm(y, p[4], mean.data(), variance.data(), p[7], p[8], epsilon,
                                      activation, s);
                       }});
}

// Operands as backward_operands without dx: 0 dgamma, 1 dbeta | 2 dy, 3 x, 4 mean, 5 variance, 6
// gamma, 7 beta.
Case parameter_gradients_case(RowShape s, Activation activation) {
  std::vector<Operand> operands = backward_operands(s, Role::input);
  operands.erase(operands.begin());
  Case c =
      Case(label(s, activation), operands,
           [=](const auto& k, auto p) {
             k.batch_norm_parameter_gradients(p[0], p[1], p[2], p[3],
                                              {p[4], p[5], p[6], p[7], epsilon, activation}, s);
           })
          .terms(8 + static_cast<double>(s.rows))
          .magnitude([=](const auto& k, auto p) {
            for (std::int64_t i = 0; i < s.channels; ++i) p[4][i] = -p[4][i];
            k.batch_norm_parameter_gradients(
                p[0], p[1], p[2], p[3], {p[4], p[5], p[6], p[7], epsilon, Activation::none}, s);
          });
  if (size(s) < 100)
    c.gradient = {.upstream = 2,
                  .pairs = {{0, 6}, {1, 7}},
                  .forward_size = size(s),
                  .forward = [=](const auto& k, double* y, auto p) {
                    k.batch_norm(y, p[3], p[4], p[5], p[6], p[7], epsilon, activation, s);
                  }};
  return c;
}

Case statistics_case(RowShape s, Fill fill) {
  return Case(label(s) + (fill == Fill::shifted ? " shifted" : ""),
              {output(s.channels), output(s.channels), input(size(s), fill)},
              [=](const auto& k, auto p) { k.batch_norm_statistics(p[0], p[1], p[2], s); })
      .terms(static_cast<double>(s.rows) + 4)
      // Errors of the mean enter the variance squared: two passes, or the like.
      .magnitude([=](const auto& k, auto p) {
        k.batch_norm_statistics(p[0], p[1], p[2], s);
        for (std::int64_t c = 0; c < s.channels; ++c) p[1][c] += 0.01;
      });
}

Case forward_case(RowShape s, Activation activation) {
  const std::int64_t c = s.channels;
  const auto forward = [=](const auto& k, auto p, Activation a) {
    k.batch_norm(p[0], p[1], p[2], p[3], p[4], p[5], epsilon, a, s);
  };
  return Case(label(s, activation),
              {output(size(s)), input(size(s)), input(c), input(c, Fill::positive), input(c),
               input(c)},
              [=](const auto& k, auto p) { forward(k, p, activation); })
      .aliases(0, 1)
      .terms(8)
      .magnitude([=](const auto& k, auto p) {
        for (std::int64_t i = 0; i < c; ++i) p[2][i] = -p[2][i];
        forward(k, p, Activation::none);
      });
}

}  // namespace

std::vector<Case> cases_batch_norm_statistics() {
  std::vector<Case> cases;
  for (const RowShape s : shapes()) {
    cases.push_back(statistics_case(s, Fill::normal));
    if (s.rows > 1) cases.push_back(statistics_case(s, Fill::shifted));
  }
  cases.push_back(statistics_case(largest, Fill::normal).benchmark(4.0 * size(largest)));
  return cases;
}

std::vector<Case> cases_batch_norm() {
  std::vector<Case> cases;
  for (const RowShape s : shapes()) cases.push_back(forward_case(s, Activation::none));
  cases.push_back(forward_case({0, 8}, Activation::none));
  for (const Activation a : {Activation::relu, Activation::relu6})
    for (const RowShape s : activated_shapes) cases.push_back(forward_case(s, a));
  cases.push_back(forward_case(largest, Activation::relu6).benchmark(4.0 * size(largest)));
  return cases;
}

std::vector<Case> cases_batch_norm_backward() {
  std::vector<Case> cases;
  for (const RowShape s : shapes()) cases.push_back(backward_case(s));
  for (const RowShape s : {RowShape{2, 1}, RowShape{7, 3}, RowShape{5, 16}, RowShape{3, 33}})
    for (const Activation a : {Activation::none, Activation::relu, Activation::relu6})
      cases.push_back(backward_through_statistics_case(s, a));
  for (const Activation a : {Activation::relu, Activation::relu6})
    for (const RowShape s : activated_shapes) cases.push_back(backward_case(s, a));
  cases.push_back(backward_case(largest, Activation::relu6).benchmark(12.0 * size(largest)));
  return cases;
}

std::vector<Case> cases_batch_norm_frozen_backward() {
  std::vector<Case> cases;
  for (const RowShape s : shapes()) cases.push_back(fixed_backward_case(s));
  cases.push_back(fixed_backward_case({0, 8}));
  for (const Activation a : {Activation::relu, Activation::relu6})
    for (const RowShape s : activated_shapes) cases.push_back(fixed_backward_case(s, a));
  cases.push_back(fixed_backward_case(largest, Activation::relu6).benchmark(9.0 * size(largest)));
  return cases;
}

std::vector<Case> cases_batch_norm_parameter_gradients() {
  std::vector<Case> cases;
  const auto add = [&](RowShape s, Activation activation) {
    cases.push_back(parameter_gradients_case(s, activation));
  };
  for (const RowShape s : shapes()) add(s, Activation::none);
  for (const Activation a : {Activation::relu, Activation::relu6})
    for (const RowShape s : activated_shapes) add(s, a);
  cases.push_back(
      parameter_gradients_case(largest, Activation::relu6).benchmark(5.0 * size(largest)));
  return cases;
}

}  // namespace maskwatch::kernel_cases
