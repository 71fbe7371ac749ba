// Reference matrix products: three plain loops.
#pragma once

#include "kernels/scalar.h"
#include "kernels/table.h"

namespace maskwatch::kernels::ref {

// a_row, a_col, b_row, b_col: strides that say which of the operands is transposed.
template <typename T>
void strided_gemm(T* c, const T* a, std::int64_t a_row, std::int64_t a_col, const T* b,
                  std::int64_t b_row, std::int64_t b_col, GemmShape s) {
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      T sum = s.accumulate ? c[i * s.n + j] : T(0);
      for (std::int64_t p = 0; p < s.k; ++p)
        sum += a[i * a_row + p * a_col] * b[p * b_row + j * b_col];
      c[i * s.n + j] = sum;
    }
  }
}

template <typename T>
void gemm(T* c, const T* a, const T* b, GemmShape s) {
  strided_gemm(c, a, s.k, 1, b, s.n, 1, s);
}

template <typename T>
void gemm_nt(T* c, const T* a, const T* b, GemmShape s) {
  strided_gemm(c, a, s.k, 1, b, 1, s.k, s);
}

template <typename T>
void gemm_tn(T* c, const T* a, const T* b, GemmShape s) {
  strided_gemm(c, a, 1, s.m, b, s.n, 1, s);
}

template <typename T>
void pack_gemm(T* packed, const T* b, GemmShape s) {
  for (std::int64_t i = 0; i < s.k * s.n; ++i) packed[i] = b[i];
}

template <typename T>
void packed_gemm(T* c, const T* a, const T* packed, const T* bias, const T* residual,
                 Activation activation, GemmShape s) {
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      T sum = bias ? bias[j] : T(0);
      for (std::int64_t p = 0; p < s.k; ++p) sum += a[i * s.k + p] * packed[p * s.n + j];
      c[i * s.n + j] =
          scalar::activate(sum, activation) + (residual ? residual[i * s.n + j] : T(0));
    }
  }
}

}  // namespace maskwatch::kernels::ref
