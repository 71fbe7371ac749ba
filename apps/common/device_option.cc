#include "apps/common/device_option.h"

#include <stdexcept>

#include "apps/common/program.h"

namespace maskwatch::apps {

OptionParser::Option& add_device_option(OptionParser& parser, std::string& device) {
  device = "cpu";
  return parser
      .add("--device", &device,
           "Where networks run: cpu, cuda or cuda:N (a GPU), or auto (a GPU if there is one)")
      .show_default();
}

kernels::Device& chosen_device(const std::string& device, int local_rank) {
  try {
    return kernels::device_named(device, local_rank,
                                 [](const std::string& why) { tell("on the CPU: " + why); });
  } catch (const std::invalid_argument&) {
    throw UsageError("--device " + one_line(device) + ": not cpu, cuda, cuda:N or auto");
  } catch (const std::runtime_error& fault) {
    if (device == "cpu") throw;
    throw UsageError("--device " + device + ": " + fault.what(), "--device cpu needs no GPU");
  }
}

std::string recipe_of_device(const kernels::Device& device) {
  if (device.on_host()) return "";
  return ", device " + device.name().substr(0, device.name().find(':'));
}

}  // namespace maskwatch::apps
