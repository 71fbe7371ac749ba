// What programs say that take the weights of a model in int8 for something else than running it.
#pragma once

#include <string>

#include "nn/safetensors.h"

namespace maskwatch::apps {

// A note, if weights of the contents of `file` were rounded to integers: `use` ("training starts")
// has those.
void tell_if_rounded(const nn::Safetensors& contents, const std::string& file,
                     const std::string& use);

}  // namespace maskwatch::apps
