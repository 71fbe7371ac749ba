// Networks other than MobileNetV2: face detectors, landmark networks. Their file lists the layers
// in its metadata "graph", which data/README.md describes; a plan is made from that list.
#pragma once

#include <string>
#include <vector>

#include "nn/plan.h"
#include "nn/safetensors.h"

namespace maskwatch::nn {

// The network of a converted file, for pictures of the given shape; Plan::output(i) gives
// outputs[i]. Rows [N, P, C] of a layer have the PictureShape {P, 1, C}.
// std::runtime_error begins with `file`, names the layer and its fault: metadata that is not such a
// list, an unknown operation, an input that no earlier layer makes, a missing tensor, shapes that
// do not fit, sizes beyond reason.
Plan compile_graph(const Safetensors& contents, const std::string& file, PictureShape input,
                   const std::vector<std::string>& outputs, std::int64_t capacity = 1,
                   kernels::Device& device = kernels::cpu_device());

}  // namespace maskwatch::nn
