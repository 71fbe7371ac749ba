// Matrix products by the calling thread alone, of rows that an operation holds in its cache.
// Defined in gemm.cc. Included once for each target.
#if defined(KERNELS_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERNELS_PRODUCT_INL_H_
#undef KERNELS_PRODUCT_INL_H_
#else
#define KERNELS_PRODUCT_INL_H_
#endif

#include "kernels/gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

// Everything a product with a packed b needs.
struct PackedProduct {
  const float* a;
  const float* packed;
  TileOutput out;  // c, bias and residual of row 0, column 0
  GemmShape shape;
};

// These rows and panels of c, while the memory brings what is upcoming: null for the next panel.
void multiply_block(const PackedProduct& p, Range rows, Range panels, Upcoming* upcoming = nullptr);

// c[rows, all] (+)= a[steps]ᵀ · b[steps], where shape.k counts the steps that a and b have.
void multiply_transposed(float* c, const float* a, const float* b, const GemmShape& shape,
                         Range steps, Range rows, bool accumulate, Upcoming* upcoming = nullptr);

// The table's, on all threads; and the same of b[n,k]ᵀ.
void pack_gemm(float* packed, const float* b, GemmShape shape);
void pack_gemm_transposed(float* packed, const float* b, GemmShape shape);
void gemm_tn(float* c, const float* a, const float* b, GemmShape shape);

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
