// Networks other than MobileNetV2: face detectors, landmark networks. Their file lists the layers
// in its metadata "graph", which data/README.md describes.
#pragma once

#include <string>
#include <vector>

#include "nn/graph.h"
#include "nn/plan.h"
#include "nn/safetensors.h"

namespace maskwatch::nn {

// The network of a converted file, for pictures of the given shape; output i of the graph is
// outputs[i]. Rows [N, P, C] of a layer have the ActivationShape {P, 1, C}.
// std::runtime_error begins with `file`, names the layer and its fault: metadata that is not such a
// list, an unknown operation, an input that no earlier layer makes, a missing tensor, shapes that
// do not fit, sizes beyond reason.
Graph read_graph(const Safetensors& contents, const std::string& file, ActivationShape input,
                 const std::vector<std::string>& outputs);

// The same, fused, as a plan. Errors as read_graph's and Plan's; all begin with `file`.
Plan compile_graph(const Safetensors& contents, const std::string& file, ActivationShape input,
                   const std::vector<std::string>& outputs, std::int64_t capacity = 1,
                   kernels::Device& device = kernels::cpu_device());

}  // namespace maskwatch::nn
