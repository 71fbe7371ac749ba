// Cases of kernels/loss.cc.
#include "tests/kernels/cases.h"

namespace maskwatch::kernel_cases {
namespace {

// Roundings in exp, log and the quotient, apart from the sums over classes.
constexpr double formula = 16;

std::string label(RowShape s) { return std::to_string(s.rows) + "x" + std::to_string(s.channels); }

constexpr std::int64_t size(RowShape s) { return s.rows * s.channels; }
constexpr bool is_small(RowShape s) { return size(s) < 250; }
constexpr RowShape imagenet = {256, 1000};

std::vector<RowShape> shapes() {
  std::vector<RowShape> all = {{1, 1}, {1, 2}, {32, 2}, {5, 1000}, {1000, 3}, {70, 1001}};
  for (std::int64_t classes = 3; classes <= 33; ++classes) all.push_back({7, classes});
  return all;
}

// make(shape, fill of the logits) for every shape; `kinked` reaches far into the tails of exp.
template <typename Make>
std::vector<Case> for_shapes(const Make& make, double flops_each) {
  std::vector<Case> cases;
  for (const RowShape s : shapes()) cases.push_back(make(s, Fill::normal));
  cases.push_back(make({9, 21}, Fill::kinked));
  cases.push_back(make({9, 21}, Fill::shifted));
  cases.push_back(make(imagenet, Fill::normal).benchmark(flops_each * size(imagenet)));
  return cases;
}

double roundings(RowShape s, Fill fill) {
  // An error in the last place of a logit near 100 is an error of 100 eps in its exponential.
  return formula + static_cast<double>(s.channels) + (fill == Fill::shifted ? 100 : 0);
}

// Loss cases: operands loss, logits, targets.
template <typename Run>
Case loss_case(RowShape s, Fill fill, Fill targets, double terms, const Run& run) {
  return Case(label(s), {output(1), input(size(s), fill), input(size(s), targets, s.channels)}, run)
      .terms(terms);
}

// Gradient cases: operands dlogits, dloss, logits, targets.
template <typename Run, typename Forward>
Case loss_backward_case(RowShape s, Fill fill, Fill targets, const Run& run,
                        const Forward& forward) {
  Case c =
      Case(label(s),
           {output(size(s)), input(1), input(size(s), fill), input(size(s), targets, s.channels)},
           run)
          .terms(roundings(s, fill))
          .magnitude([=](const auto&, auto p) {
            for (std::int64_t i = 0; i < size(s); ++i) p[0][i] = p[1][0] / double(s.rows);
          });
  if (is_small(s))
    c.gradient = {.upstream = 1, .pairs = {{0, 2}}, .forward_size = 1, .forward = forward};
  return c;
}

}  // namespace

std::vector<Case> cases_softmax() {
  return for_shapes(
      [](RowShape s, Fill fill) {
        return Case(label(s), {output(size(s)), input(size(s), fill)},
                    [=](const auto& k, auto p) { k.softmax(p[0], p[1], s); })
            .aliases(0, 1)
            .terms(roundings(s, fill));
      },
      20);
}

// The gradient is taken with respect to logits (operand 3), of which y (operand 2) is made.
std::vector<Case> cases_softmax_backward() {
  return for_shapes(
      [](RowShape s, Fill fill) {
        Case c = Case(label(s),
                      {output(size(s)), input(size(s)), scratch(size(s)), input(size(s), fill)},
                      [=](const auto& k, auto p) {
                        k.softmax(p[2], p[3], s);
                        k.softmax_backward(p[0], p[1], p[2], s);
                      })
                     .aliases(0, 1)
                     .terms(roundings(s, fill))
                     .magnitude([=](const auto&, auto p) {
                       for (std::int64_t i = 0; i < size(s); ++i) p[0][i] = 4;
                     });
        if (is_small(s))
          c.gradient = {
              .upstream = 1,
              .pairs = {{0, 3}},
              .forward_size = size(s),
              .forward = [=](const auto& k, double* y, auto p) { k.softmax(y, p[3], s); }};
        return c;
      },
      24);
}

std::vector<Case> cases_softmax_cross_entropy() {
  return for_shapes(
      [](RowShape s, Fill fill) {
        return loss_case(
            s, fill, s.channels % 2 ? Fill::probabilities : Fill::one_hot,
            roundings(s, fill) + static_cast<double>(size(s)),
            [=](const auto& k, auto p) { k.softmax_cross_entropy(p[0], p[1], p[2], s); });
      },
      20);
}

std::vector<Case> cases_softmax_cross_entropy_backward() {
  return for_shapes(
      [](RowShape s, Fill fill) {
        return loss_backward_case(
            s, fill, s.channels % 2 ? Fill::probabilities : Fill::one_hot,
            [=](const auto& k, auto p) {
              k.softmax_cross_entropy_backward(p[0], p[1], p[2], p[3], s);
            },
            [=](const auto& k, double* y, auto p) { k.softmax_cross_entropy(y, p[2], p[3], s); });
      },
      24);
}

std::vector<Case> cases_binary_cross_entropy() {
  return for_shapes(
      [](RowShape s, Fill fill) {
        return loss_case(
            s, fill, Fill::probabilities, formula + static_cast<double>(size(s)),
            [=](const auto& k, auto p) { k.binary_cross_entropy(p[0], p[1], p[2], s); });
      },
      40);
}

std::vector<Case> cases_binary_cross_entropy_backward() {
  return for_shapes(
      [](RowShape s, Fill fill) {
        return loss_backward_case(
            s, fill, Fill::probabilities,
            [=](const auto& k, auto p) {
              k.binary_cross_entropy_backward(p[0], p[1], p[2], p[3], s);
            },
            [=](const auto& k, double* y, auto p) { k.binary_cross_entropy(y, p[2], p[3], s); });
      },
      20);
}

}  // namespace maskwatch::kernel_cases
