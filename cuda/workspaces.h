// The areas behind workspace() of cuda/simt.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "cuda/simt.h"
#include "kernels/device.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

class Workspaces {
 public:
  explicit Workspaces(kernels::Device& device) : device_(device) {}

  float* at(Workspace area, std::int64_t floats) {
    Area& own = areas_[static_cast<std::size_t>(area)];
    if (own.floats >= floats && own.memory) return own.memory;
    const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float);
    // What the area outgrows is kept: a recording may use it.
    void* const memory = device_.allocate(bytes);
    if (!memory)
      throw std::runtime_error(device_.name() + ": no " + std::to_string(bytes) +
                               " bytes of memory left for an operation");
    own = {static_cast<float*>(memory), floats};
    return own.memory;
  }

 private:
  struct Area {
    float* memory = nullptr;
    std::int64_t floats = 0;
  };

  kernels::Device& device_;
  std::array<Area, static_cast<std::size_t>(Workspace::count)> areas_;
};

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
