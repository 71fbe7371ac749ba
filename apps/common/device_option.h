// --device: where networks run.
#pragma once

#include <string>

#include "apps/common/options.h"
#include "kernels/device.h"

namespace maskwatch::apps {

// Adds --device, "cpu" unless given.
OptionParser::Option& add_device_option(OptionParser& parser, std::string& device);

// The device of that name: cpu; cuda:N, a GPU; cuda, the GPU of this process among those on this
// machine (`local_rank`; kernels/communicator.h), which is 0 where it works alone; auto, that GPU,
// or the CPU where there is none, with a line on standard error that says why. UsageError for
// another name and for what cannot be had.
kernels::Device& chosen_device(const std::string& device, int local_rank = 0);

// What a recipe says of the device: nothing of the CPU. Other devices round otherwise, so that a
// run does not go on elsewhere to the same bytes.
std::string recipe_of_device(const kernels::Device& device);

}  // namespace maskwatch::apps
