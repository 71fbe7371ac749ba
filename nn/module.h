// Module: a part of a network that owns parameters (trained) and buffers (running statistics), by
// name.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/tensor.h"

namespace maskwatch::nn {

class Graph;
struct Value;

using StateDict = std::map<std::string, Tensor>;

// Copies values into the tensors of `to` from those of the same names, with `prefix` before them;
// names that `to` does not have are ignored. std::invalid_argument names a tensor that is missing
// or of another shape; then nothing has been changed.
void copy_state(const StateDict& to, const StateDict& from, const std::string& prefix = "");

class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  // With autograd, for training.
  virtual Tensor forward(const Tensor& x) = 0;

  // Parameters and buffers by dotted name; the tensors share their values with the module.
  StateDict state_dict() const;
  // As copy_state().
  void load_state_dict(const StateDict& state, const std::string& prefix = "");
  // How often values were loaded into this module or a part of it: what was made of them, a plan
  // for example, is stale once this has grown.
  std::int64_t loads() const;

  // Moves parameters and buffers to a device, where forward() then runs. What was made of them
  // before, an optimiser for example, holds those that were.
  void to(kernels::Device& device);

  // Trained parameters that are not frozen.
  std::vector<Tensor> trainable_parameters() const;
  std::int64_t parameter_count() const;
  // The buffers that forward() may move in training mode: running statistics that are not frozen.
  std::vector<Tensor> moving_buffers() const;

  // Training mode: batch norm uses the statistics of the batch, dropout drops. Modules start in it.
  void train(bool training = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  // Frozen: parameters take no gradient and batch norm keeps its running statistics, whatever the
  // mode.
  void freeze(bool frozen = true);

 protected:
  Tensor& add_parameter(const std::string& name, Tensor& slot, Tensor value);
  Tensor& add_buffer(const std::string& name, Tensor& slot, Tensor value);
  // A child with an empty name lends its names to this module.
  template <typename M>
  M& add_module(const std::string& name, M& child) {
    children_.emplace_back(name, &child);
    return child;
  }
  bool frozen_ = false;

 private:
  void collect(const std::string& prefix, StateDict& state) const;

  bool training_ = true;
  std::int64_t loads_ = 0;  // into this module as a whole
  std::vector<std::pair<std::string, Tensor*>> parameters_, buffers_;
  std::vector<std::pair<std::string, Module*>> children_;
};

// A module that can be written down as a graph (nn/graph.h).
class TraceableModule : public Module {
 public:
  // What forward() does in evaluation mode, as nodes that hold the parameters themselves.
  virtual Value trace(Graph& graph, Value x) const = 0;
};

}  // namespace maskwatch::nn
