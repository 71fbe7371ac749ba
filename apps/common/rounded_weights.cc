#include "apps/common/rounded_weights.h"

#include "apps/common/program.h"

namespace maskwatch::apps {

void tell_if_rounded(const nn::Safetensors& contents, const std::string& file,
                     const std::string& use) {
  if (contents.rounded)
    tell(file + ": its weights were rounded to integers of 8 bits; " + use + " from those");
}

}  // namespace maskwatch::apps
