// The devices that are not the CPU: the executor where it is built, and a GPU where there is one.
// Nothing tells the tests whether there should be one, so cuda/check.sh looks that they ran on it.
#pragma once

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
#if MASKWATCH_SIMT
  all.push_back(&simt::device());
#endif
  try {
    all.push_back(&cuda::open_device("cuda:0"));
  } catch (const std::runtime_error&) {
  }
  return all;
}

}  // namespace maskwatch
