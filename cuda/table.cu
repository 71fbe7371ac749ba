#include "cuda/table.h"

#include "kernels/checks.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
<<<<<<< HEAD
namespace {

// Rows without a kernel yet: null in the table.
constexpr std::string_view kMissing[] = {
<<<<<<< HEAD
    "depthwise3x3",
    "depthwise3x3_backward_input",
    "depthwise3x3_backward_weight",
    "depthwise3x3_batch_norm",
    "depthwise3x3_batch_norm_backward",
=======
    "gemm",
    "gemm_nt",
    "gemm_tn",
    "pack_gemm",
    "packed_gemm",
    "pointwise_average_pool",
    "conv2d",
    "packed_conv2d",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "pack_inverted_residual",
    "inverted_residual",
    "pointwise_batch_norm",
    "pointwise_batch_norm_backward",
>>>>>>> a032d1fac910683a7a3263540159cce66bb8f169
};

constexpr bool is_missing(std::string_view name) {
  for (const std::string_view missing : kMissing)
    if (missing == name) return true;
  return false;
}

template <bool missing, auto kCheck, auto kRun>
constexpr auto entry() {
  if constexpr (missing)
    return nullptr;
  else
    return kernels::checked<kCheck, kRun>();
}

}  // namespace
=======
>>>>>>> 79a6cb4039f0dd2ba5714e772c6e3138d7322c49

const kernels::Table<float>& table() {
  static const kernels::Table<float> table = {
#define OP(name, parameters) .name = kernels::checked<&kernels::checks::name<T>, &name>(),
#include "kernels/ops.def"
#undef OP
  };
  return table;
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
