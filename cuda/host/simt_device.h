// The executor as a device: memory that the host cannot touch, the table of the GPU's kernels, and
// recordings. For tests where there is no GPU.
#pragma once

#include <cstddef>

#include "kernels/device.h"

namespace maskwatch::simt {

// "simt", one for the process; never destroyed. A call of its table with a pointer that is not the
// device's throws KernelError with the operation's name.
kernels::Device& device();

// What most_shared_bytes() says from now on: that of another GPU. At first that of sm_90.
void set_most_shared_bytes(std::size_t bytes);

}  // namespace maskwatch::simt
