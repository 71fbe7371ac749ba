// The devices that are not the CPU: the executor where it is built, and a GPU where there is one.
// Where MASKWATCH_REQUIRE_GPU is set, as by cuda/check.sh, the GPU alone, and there must be one.
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "cuda/open_device.h"
#include "kernels/device.h"

#if MASKWATCH_SIMT
#include "cuda/host/simt_device.h"
#endif

namespace maskwatch {

inline std::vector<kernels::Device*> tested_devices() {
  std::vector<kernels::Device*> all;
  const bool must_have_gpu = std::getenv("MASKWATCH_REQUIRE_GPU") != nullptr;
#if MASKWATCH_SIMT
  if (!must_have_gpu) all.push_back(&simt::device());
#endif
  try {
    all.push_back(&cuda::open_device("cuda:0"));
  } catch (const std::runtime_error&) {
    if (must_have_gpu) throw;
  }
  return all;
}

}  // namespace maskwatch
