#include "kernels/ref/quantized.h"

namespace maskwatch::kernels::ref {

const QuantizedTable& quantized_table() {
  static const QuantizedTable table = {
#define QOP(name, parameters) .name = &name,
#include "kernels/quantized.def"
#undef QOP
  };
  return table;
}

}  // namespace maskwatch::kernels::ref
