// One GPU with one stream: all calls of the process go there in their order.
#pragma once

#include "kernels/device.h"

namespace maskwatch::cuda {

// GPU `ordinal`, opened with the first call and never destroyed. std::runtime_error with one line
// where there is no driver, no such GPU, no kernels for it in this build, or another one is open.
kernels::Device& device(int ordinal);

}  // namespace maskwatch::cuda
