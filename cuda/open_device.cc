#include "cuda/open_device.h"

#include <charconv>
#include <stdexcept>
#include <string_view>

#if MASKWATCH_CUDA
#include "cuda/device.h"
#endif

namespace maskwatch::cuda {
namespace {

int ordinal_of(const std::string& name) {
  const std::string_view begin = "cuda";
  int ordinal = 0;
  if (name == begin) return ordinal;
  const char* const end = name.data() + name.size();
  if (name.starts_with("cuda:")) {
    const char* const number = name.data() + begin.size() + 1;
    const auto [rest, error] = std::from_chars(number, end, ordinal);
    if (error == std::errc() && rest == end && number != end && *number != '-') return ordinal;
  }
  throw std::invalid_argument("no device \"" + name + "\": cuda, or cuda:0, cuda:1 ...");
}

}  // namespace

#if MASKWATCH_CUDA
bool built() { return true; }
kernels::Device& open_device(const std::string& name) { return device(ordinal_of(name)); }
#else
bool built() { return false; }
kernels::Device& open_device(const std::string& name) {
  ordinal_of(name);
  throw std::runtime_error(name + ": this build has no CUDA (meson -Dcuda=enabled needs nvcc)");
}
#endif

}  // namespace maskwatch::cuda
