// Networks that are no MobileNetV2: face detectors, landmark networks. Their file brings the layers
// with it, as a list in the metadata "graph" that data/README.md describes; a plan is made of that.
#pragma once

#include <string>
#include <vector>

#include "nn/plan.h"
#include "nn/safetensors.h"

namespace maskwatch::nn {

// The network of a converted file, for pictures of the given shape; Plan::output(i) gives
// outputs[i]. A layer's rows [N, P, C] have the PictureShape {P, 1, C}.
// std::runtime_error names `path`, the layer and its fault: metadata that are no such list, an
// unknown operation, an input that no earlier layer makes, a missing tensor, shapes that do not
// fit, sizes out of all proportion.
Plan compile_graph(const Safetensors& contents, const std::string& path, PictureShape input,
                   const std::vector<std::string>& outputs, std::int64_t capacity = 1);

}  // namespace maskwatch::nn
