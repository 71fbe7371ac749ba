// Devices by their names, in builds with CUDA and without.
#pragma once

#include <string>

#include "kernels/device.h"

namespace maskwatch::cuda {

// Whether this build can use GPUs at all.
bool built();

// "cuda" (the first GPU) or "cuda:N": opened with the first call, then kept until the process ends,
// which works on one GPU. std::invalid_argument for another name; std::runtime_error with one line
// that says what is missing: CUDA in this build, a driver, a GPU of that number, kernels for it.
kernels::Device& open_device(const std::string& name);

}  // namespace maskwatch::cuda
