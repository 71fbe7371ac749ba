#include "kernels/ref/quantized.h"

#include "kernels/quantized_checks.h"

namespace maskwatch::kernels::ref {

const QuantizedTable& quantized_table() {
  static const QuantizedTable table = {
#define QOP(name, parameters) .name = checked<&checks::name, &name>(),
#include "kernels/quantized.def"
#undef QOP
  };
  return table;
}

}  // namespace maskwatch::kernels::ref
