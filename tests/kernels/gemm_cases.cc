// Cases of kernels/gemm.cc.
#include "tests/kernels/cases.h"

namespace maskwatch::kernel_cases {
namespace {

std::string label(GemmShape s) {
  return std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k) +
         (s.accumulate ? " accumulate" : "");
}

std::vector<GemmShape> shapes() {
  // Around the heights and widths of register tiles; few rows, few columns; the inner product in
  // several parts.
  return {{1, 1, 1},    {3, 5, 7},    {2, 3, 0},          {0, 4, 4},
          {17, 33, 19}, {64, 48, 96}, {9, 31, 40, true},  {14, 32, 5},
          {15, 65, 17}, {29, 17, 33}, {57, 15, 16, true}, {1, 67, 131},
          {2, 9, 70},   {43, 3, 21},  {5, 7, 3001},       {31, 24, 2500, true},
          {30, 24, 96}, {29, 6, 63},  {13, 20, 9000}};
}

constexpr GemmShape pointwise = {32 * 14 * 14, 384, 64};

double flops(GemmShape s) { return 2.0 * s.m * s.n * s.k; }

// Operands: c, a, b, each of the size that it has in every one of the three layouts.
template <typename Run>
std::vector<Case> product_cases(const Run& run) {
  std::vector<Case> cases;
  const auto make = [&](GemmShape s) {
    const Operand c = s.accumulate ? in_place(s.m * s.n) : output(s.m * s.n);
    const auto product = [=](const auto& k, auto p) { run(k, p, s); };
    return Case(label(s), {c, input(s.m * s.k), input(s.k * s.n)}, product)
        .terms(static_cast<double>(s.k) + 1)
        .magnitude(product);
  };
  for (const GemmShape s : shapes()) cases.push_back(make(s));
  cases.push_back(make(pointwise).benchmark(flops(pointwise)));
  return cases;
}

// Operands: c, packed, a, b, bias, residual.
Case packed_case(GemmShape s, bool has_bias, bool has_residual, Activation activation) {
  const auto run = [=](const auto& k, auto p, Activation used) {
    k.pack_gemm(p[1], p[3], s);
    k.packed_gemm(p[0], p[2], p[1], has_bias ? p[4] : nullptr, has_residual ? p[5] : nullptr, used,
                  s);
  };
  return Case(label(s) + (has_bias ? " bias" : "") + (has_residual ? " residual" : ""),
              {output(s.m * s.n), scratch(kernels::packed_gemm_size(s.k, s.n)), input(s.m * s.k),
               input(s.k * s.n), input(has_bias ? s.n : 0), input(has_residual ? s.m * s.n : 0)},
              [=](const auto& k, auto p) { run(k, p, activation); })
      .terms(static_cast<double>(s.k) + 2)
      .magnitude([=](const auto& k, auto p) { run(k, p, Activation::none); });
}

}  // namespace

std::vector<Case> cases_gemm() {
  std::vector<Case> cases =
      product_cases([](const auto& k, auto p, GemmShape s) { k.gemm(p[0], p[1], p[2], s); });
  // da = dc · bᵀ and db = aᵀ · dc. Operands: da, db, dc, a, b.
  constexpr GemmShape s = {4, 5, 3};
  cases.push_back(Case("gradients of " + label(s),
                       {output(s.m * s.k), output(s.k * s.n), input(s.m * s.n), input(s.m * s.k),
                        input(s.k * s.n)},
                       [=](const auto& k, auto p) {
                         k.gemm_nt(p[0], p[2], p[4], GemmShape{s.m, s.k, s.n});
                         k.gemm_tn(p[1], p[3], p[2], GemmShape{s.k, s.n, s.m});
                       })
                      .terms(64)
                      .differentiates({.upstream = 2,
                                       .pairs = {{0, 3}, {1, 4}},
                                       .forward_size = s.m * s.n,
                                       .forward = [=](const auto& k, double* y, auto p) {
                                         k.gemm(y, p[3], p[4], s);
                                       }}));
  return cases;
}

std::vector<Case> cases_gemm_nt() {
  return product_cases([](const auto& k, auto p, GemmShape s) { k.gemm_nt(p[0], p[1], p[2], s); });
}

std::vector<Case> cases_gemm_tn() {
  return product_cases([](const auto& k, auto p, GemmShape s) { k.gemm_tn(p[0], p[1], p[2], s); });
}

// What a pack holds is each back end's own affair: it is right when the product is.
std::vector<Case> cases_pack_gemm() {
  std::vector<Case> cases;
  for (const GemmShape s : shapes())
    if (!s.accumulate) cases.push_back(packed_case(s, false, false, Activation::none));
  return cases;
}

std::vector<Case> cases_packed_gemm() {
  std::vector<Case> cases;
  for (const GemmShape s : shapes()) {
    if (s.accumulate) continue;
    cases.push_back(packed_case(s, true, false, Activation::relu6));
    cases.push_back(packed_case(s, true, true, Activation::none));
  }
  cases.push_back(
      packed_case(pointwise, true, false, Activation::relu6).benchmark(flops(pointwise)));
  return cases;
}

}  // namespace maskwatch::kernel_cases
