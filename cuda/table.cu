#include "cuda/table.h"

#include "kernels/checks.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

const kernels::Table<float>& table() {
  static const kernels::Table<float> table = {
#define OP(name, parameters) .name = kernels::checked<&kernels::checks::name<T>, &name>(),
#include "kernels/ops.def"
#undef OP
  };
  return table;
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
