// The executor as a device: memory that the host cannot touch, the table of the GPU's kernels, and
// recordings. For tests where there is no GPU.
#pragma once

#include "kernels/device.h"

namespace maskwatch::simt {

// "simt", one for the process; never destroyed. A call of its table with a pointer that is not the
// device's throws KernelError with the operation's name.
kernels::Device& device();

}  // namespace maskwatch::simt
