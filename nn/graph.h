// A network as data: a list of operations, each on values that earlier ones made. A module is
// traced into one (TraceableModule::trace), a converted file is read as one (nn/graph_file.h);
// fuse() (nn/fuse.h) rewrites it with fewer, larger operations, and Plan (nn/plan.h) runs it.
//
// A value is what one picture holds at a point of the network, [height, width, channels]; the batch
// is a matter of the plan.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nn/tensor.h"

namespace maskwatch::nn {

// A vector has height = width = 1.
struct ActivationShape {
  std::int64_t height = 1, width = 1, channels = 0;
  std::int64_t count() const { return height * width * channels; }
  bool operator==(const ActivationShape&) const = default;
};

// "[7, 7, 1280]"
std::string to_string(const ActivationShape& shape);

struct Value {
  int index = -1;
};

// Weights of a layer and its bias [out], undefined for none.
struct LayerWeights {
  Tensor weight;
  Tensor bias;
};

// The least and the most of an activation's values, by which int8 rounds them.
struct ValueRange {
  float least = 0, most = 0;
};

namespace op {

struct Input {};

// weight [kernel, kernel, in, out]. `conv` says stride, dilation, the padding before and the size
// of the result (nn/padding.h places both); the graph fills in the rest.
struct Conv2d {
  LayerWeights weights;
  kernels::ConvShape conv;
  kernels::Activation activation = kernels::Activation::none;
};
// weight [3, 3, channels]; `conv` as above.
struct Depthwise3x3 {
  LayerWeights weights;
  kernels::ConvShape conv;
  kernels::Activation activation = kernels::Activation::none;
};
// weight [in, out]: a 1×1 convolution, or a dense layer on a vector. A second input, of the
// result's shape, is added behind the activation.
struct Pointwise {
  LayerWeights weights;
  kernels::Activation activation = kernels::Activation::none;
  std::optional<ValueRange> input_range = {};  // given: in int8 (nn/quantize.h)
};
// By fixed statistics, [channels] each.
struct BatchNorm {
  Tensor gamma, beta, mean, variance;
  double epsilon = 1e-3;
  kernels::Activation activation = kernels::Activation::none;
};
struct Activate {
  kernels::Activation activation = kernels::Activation::relu;
};
struct Add {};
struct GlobalAveragePool {};
// Over channels, at every position.
struct Softmax {};
struct Sigmoid {};
// All channels of the first input, then of the second ...; of equal height and width.
struct ConcatChannels {};
// All rows of the first input, then of the second ...; of equal width and channels.
struct ConcatRows {};
// As upsample2x() in nn/ops/resize.h.
struct Upsample2x {
  std::int64_t height = 0, width = 0;
};
// The same numbers under another shape of the same count.
struct Reshape {
  ActivationShape shape;
};

// --- What fuse() makes of several operations ---

// An inverted residual block (Sandler et al. 2018), or a part of one. expand: [in, expanded], or a
// full convolution [k, k, in, expanded] of the shape expand_conv, or undefined: no expansion. Then
// [3, 3, expanded] and [expanded, out]. All with biases.
struct InvertedResidual {
  LayerWeights expand, depthwise, project;
  kernels::ConvShape depthwise_conv, expand_conv;
  bool residual = false;  // the input is added at the end
  // Behind expansion and depthwise layer, and behind the projection.
  kernels::Activation activation = kernels::Activation::relu6;
  kernels::Activation out_activation = kernels::Activation::none;
  // Given: in int8 (nn/quantize.h). What lies behind expansion and depthwise layer begins at 0.
  struct Ranges {
    ValueRange input;
    float most_expanded = 0, most_filtered = 0;
  };
  std::optional<Ranges> ranges = {};
};
// The global average pool of a Pointwise, whose result is never written to memory.
struct PointwiseAveragePool {
  LayerWeights weights;
  kernels::Activation activation = kernels::Activation::none;
  std::optional<ValueRange> input_range = {};  // given: in int8
};

}  // namespace op

using Operation =
    std::variant<op::Input, op::Conv2d, op::Depthwise3x3, op::Pointwise, op::BatchNorm,
                 op::Activate, op::Add, op::GlobalAveragePool, op::Softmax, op::Sigmoid,
                 op::ConcatChannels, op::ConcatRows, op::Upsample2x, op::Reshape,
                 op::InvertedResidual, op::PointwiseAveragePool>;

// "conv2d", "depthwise3x3", ...
const char* name_of(const Operation& operation);

// Whether it has the ranges by which it runs in int8, where the device can (nn/quantize.h).
bool has_int8_ranges(const Operation& operation);

struct Node {
  Operation operation;
  std::vector<Value> inputs;
  ActivationShape shape;  // of the value that it makes
};

class Graph {
 public:
  explicit Graph(ActivationShape input);

  Value input() const { return {0}; }
  // std::invalid_argument for a value that is not in the graph.
  const ActivationShape& shape(Value value) const;

  // Infers the result's shape. std::invalid_argument names the operation and what does not fit.
  Value add(Operation operation, std::vector<Value> inputs);
  // Marks a result that Plan::output gives, in the order of the calls. std::invalid_argument for
  // the input itself and for one that is marked already.
  void output(Value value);

  // Value i is made by node i; a node reads those before it. Node 0 is the input.
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Value>& outputs() const { return outputs_; }

 private:
  std::vector<Node> nodes_;
  std::vector<Value> outputs_;
};

// Multiply-adds for one picture of the operations with weights; 0 for the others.
double products_of(const Graph& graph, const Node& node);

}  // namespace maskwatch::nn
