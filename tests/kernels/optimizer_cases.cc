// Cases of kernels/optimizer.cc.
#include <type_traits>

#include "tests/kernels/cases.h"

namespace maskwatch::kernel_cases {
namespace {

constexpr std::int64_t parameters = 3'504'872;  // MobileNetV2 1.0

std::string label(std::int64_t n, std::int64_t t) {
  return "n=" + std::to_string(n) + " t=" + std::to_string(t);
}

Case adam_case(std::int64_t n, std::int64_t t) {
  const kernels::AdamStep step{.learning_rate = 0.01, .epsilon = 1e-7, .t = t};
  return Case(label(n, t), {in_place(n), in_place(n), in_place(n, Fill::positive), input(n)},
              [=](const auto& k, auto p) { k.adam(p[0], p[1], p[2], p[3], step, n); })
      .terms(8)
      // The steps themselves may be large against parameters that they cancel.
      .magnitude([=](const auto&, auto p) {
        for (std::int64_t i = 0; i < n; ++i) {
          p[0][i] += 1 + p[3][i];
          p[1][i] += p[3][i];
        }
      });
}

Case sgd_case(std::int64_t n, double momentum, double weight_decay) {
  const kernels::SgdStep step{
      .learning_rate = 0.1, .momentum = momentum, .weight_decay = weight_decay};
  return Case("n=" + std::to_string(n) + " momentum=" + std::to_string(momentum),
              {in_place(n), in_place(n), input(n)},
              [=](const auto& k, auto p) { k.sgd(p[0], p[1], p[2], step, n); })
      .terms(4)
      .magnitude([=](const auto&, auto p) {
        for (std::int64_t i = 0; i < n; ++i) {
          p[1][i] += p[2][i] + p[0][i];
          p[0][i] += p[1][i];
        }
      });
}

}  // namespace

std::vector<Case> cases_adam() {
  std::vector<Case> cases;
  for (const std::int64_t n : lengths()) cases.push_back(adam_case(n, 7));
  for (const std::int64_t t : {1, 1000, 1'000'000}) cases.push_back(adam_case(37, t));
  cases.push_back(adam_case(parameters, 7).benchmark(12.0 * parameters));
  return cases;
}

std::vector<Case> cases_sgd() {
  std::vector<Case> cases;
  for (const std::int64_t n : lengths()) cases.push_back(sgd_case(n, 0.9, 1e-2));
  cases.push_back(sgd_case(37, 0, 0));
  cases.push_back(sgd_case(parameters, 0.9, 1e-2).benchmark(6.0 * parameters));
  return cases;
}

std::vector<Case> cases_adam_many() {
  const kernels::AdamStep step{.learning_rate = 0.01, .epsilon = 1e-7, .t = 3};
  std::vector<Case> cases;
  // More tensors than a launch of a GPU takes, of sizes from none to several blocks.
  for (const int tensors : {0, 1, 3, 200}) {
    std::vector<std::int64_t> sizes;
    for (int i = 0; i < tensors; ++i) sizes.push_back(i % 7 == 6 ? 4321 : i % 5 * 9);
    std::vector<Operand> operands;
    for (const std::int64_t n : sizes) {
      for (const Fill fill : {Fill::normal, Fill::normal, Fill::positive})
        operands.push_back(in_place(n, fill));
      operands.push_back(input(n));
    }
    cases.push_back(
        Case(std::to_string(tensors) + " tensors", operands,
             [=](const auto& k, auto p) {
               using T = std::remove_reference_t<decltype(**p)>;
               std::vector<kernels::AdamTensor<T>> list;
               for (std::size_t i = 0; i < sizes.size(); ++i)
                 list.push_back({p[4 * i], p[4 * i + 1], p[4 * i + 2], p[4 * i + 3], sizes[i]});
               k.adam_many(list.data(), std::ssize(list), step);
             })
            .terms(8)
            .magnitude([=](const auto&, auto p) {
              for (std::size_t i = 0; i < sizes.size(); ++i)
                for (std::int64_t j = 0; j < sizes[i]; ++j) {
                  p[4 * i][j] += 1 + p[4 * i + 3][j];
                  p[4 * i + 1][j] += p[4 * i + 3][j];
                }
            }));
  }
  return cases;
}

std::vector<Case> cases_moving_average() {
  std::vector<Case> cases;
  for (const std::int64_t n : lengths())
    cases.push_back(
        Case("n=" + std::to_string(n), {in_place(n), input(n)},
             [=](const auto& k, auto p) { k.moving_average(p[0], p[1], 0.999, 1.0625, n); })
            .terms(2)
            .magnitude(
                [=](const auto& k, auto p) { k.moving_average(p[0], p[1], 0.999, 1.0625, n); }));
  cases.push_back(
      Case("benchmark", {in_place(parameters), input(parameters)}, [](const auto& k, auto p) {
        k.moving_average(p[0], p[1], 0.999, 1, parameters);
      }).benchmark(3.0 * parameters));
  return cases;
}

std::vector<Case> cases_sum_of_squares() {
  std::vector<Case> cases;
  std::vector<std::int64_t> sizes = lengths();
  sizes.push_back(100'003);
  for (const std::int64_t n : sizes)
    cases.push_back(
        Case("n=" + std::to_string(n), {output(1), input(n)}, [=](const auto& k, auto p) {
          k.sum_of_squares(p[0], p[1], n);
        }).terms(2));
  cases.push_back(Case("benchmark", {output(1), input(parameters)}, [](const auto& k, auto p) {
                    k.sum_of_squares(p[0], p[1], parameters);
                  }).benchmark(2.0 * parameters));
  return cases;
}

}  // namespace maskwatch::kernel_cases
