#include "kernels/checks.h"
#include "kernels/ref/batch_norm.h"
#include "kernels/ref/conv.h"
#include "kernels/ref/conv_batch_norm.h"
#include "kernels/ref/elementwise.h"
#include "kernels/ref/gemm.h"
#include "kernels/ref/inverted_residual.h"
#include "kernels/ref/loss.h"
#include "kernels/ref/optimizer.h"

namespace maskwatch::kernels::ref {

template <typename T>
const Table<T>& table() {
  static const Table<T> table = {
#define OP(name, parameters) .name = checked<&checks::name<T>, &name<T>>(),
#include "kernels/ops.def"
#undef OP
  };
  return table;
}

template const Table<float>& table<float>();
template const Table<double>& table<double>();

// Back ends call some of these by name, and a compiler that inlines them above leaves out the rest.
using T = float;
#define OP(name, parameters) template void name<T> parameters;
#include "kernels/ops.def"
#undef OP

}  // namespace maskwatch::kernels::ref
