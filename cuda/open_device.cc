#include "cuda/open_device.h"

#include <charconv>
#include <optional>
#include <stdexcept>
#include <string_view>

#if MASKWATCH_CUDA
#include "cuda/device.h"
#endif

namespace maskwatch::cuda {
namespace {

std::optional<int> ordinal_of(const std::string& name) {
  const std::string_view begin = "cuda";
  int ordinal = 0;
  if (name == begin) return ordinal;
  const char* const end = name.data() + name.size();
  if (name.starts_with("cuda:")) {
    const char* const number = name.data() + begin.size() + 1;
    const auto [rest, error] = std::from_chars(number, end, ordinal);
    if (error == std::errc() && rest == end && number != end && *number != '-') return ordinal;
  }
  return std::nullopt;
}

}  // namespace

bool built() { return MASKWATCH_CUDA != 0; }

kernels::Device& open_device(const std::string& name) {
  const std::optional<int> ordinal = ordinal_of(name);
  if (!ordinal)
    throw std::invalid_argument("no device \"" + name + "\": cuda, or cuda:0, cuda:1 ...");
#if MASKWATCH_CUDA
  return device(*ordinal);
#else
  throw std::runtime_error(name + ": this build has no CUDA (meson -Dcuda=enabled needs nvcc)");
#endif
}

}  // namespace maskwatch::cuda

namespace maskwatch::kernels {

Device& device_named(const std::string& name, int first,
                     const std::function<void(const std::string&)>& explain) {
  if (name == "cpu") return cpu_device();
  const bool may_fail = name == "auto";
  if (!may_fail && !cuda::ordinal_of(name))
    throw std::invalid_argument("no device \"" + name + "\": cpu, cuda, cuda:N or auto");
  try {
    return cuda::open_device(may_fail || name == "cuda" ? "cuda:" + std::to_string(first) : name);
  } catch (const std::runtime_error& fault) {
    if (!may_fail) throw;
    if (explain) explain(fault.what());
    return cpu_device();
  }
}

}  // namespace maskwatch::kernels
