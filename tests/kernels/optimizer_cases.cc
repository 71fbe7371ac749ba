// Cases of kernels/optimizer.cc.
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

}  // namespace maskwatch::kernel_cases
