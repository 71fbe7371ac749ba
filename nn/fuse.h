// Rewrites of a graph that leave its outputs what they are, but for rounding, and make it faster.
#pragma once

#include "nn/graph.h"

namespace maskwatch::nn {

// Batch norms are multiplied into the convolution before them, unless something else reads that.
Graph fold_batch_norms(const Graph& graph);
// Activations behind a layer become a part of it.
Graph join_activations(const Graph& graph);
// A depthwise layer and the pointwise one that alone reads it become one kernel, with the
// convolution before them that only they read, if its activation is the depthwise layer's.
Graph join_blocks(const Graph& graph);
// Sums with what a block or a pointwise layer makes become a part of it.
Graph join_residuals(const Graph& graph);
// A global average pool becomes a part of the pointwise layer before it.
Graph join_pools(const Graph& graph);

// All of them, in this order.
Graph fuse(const Graph& graph);

// Weights with the batch norm behind them multiplied in; the last axis of `weight` is the output
// channel. On the CPU, wherever the tensors lie.
LayerWeights fold_batch_norm(const Tensor& weight, const op::BatchNorm& batch_norm);

}  // namespace maskwatch::nn
