#include "nn/module.h"

#include <stdexcept>

namespace maskwatch::nn {

void copy_state(const StateDict& to, const StateDict& from, const std::string& prefix) {
  for (const auto& [name, tensor] : to) {
    const auto found = from.find(prefix + name);
    if (found == from.end()) throw std::invalid_argument("tensor " + prefix + name + " is missing");
    if (found->second.shape() != tensor.shape())
      throw std::invalid_argument("tensor " + prefix + name + " has shape " +
                                  to_string(found->second.shape()) + ", expected " +
                                  to_string(tensor.shape()));
  }
  for (const auto& [name, tensor] : to) tensor.copy_from(from.at(prefix + name));
}

void Module::collect(const std::string& prefix, StateDict& state) const {
  for (const auto& [name, tensor] : parameters_) state[prefix + name] = *tensor;
  for (const auto& [name, tensor] : buffers_) state[prefix + name] = *tensor;
  for (const auto& [name, child] : children_)
    child->collect(name.empty() ? prefix : prefix + name + ".", state);
}

StateDict Module::state_dict() const {
  StateDict state;
  collect("", state);
  return state;
}

void Module::load_state_dict(const StateDict& state, const std::string& prefix) {
  copy_state(state_dict(), state, prefix);
  ++loads_;
}

std::int64_t Module::loads() const {
  std::int64_t count = loads_;
  for (const auto& [name, child] : children_) count += child->loads();
  return count;
}

void Module::to(kernels::Device& device) {
  const auto move = [&](Tensor& tensor) {
    const bool trained = tensor.requires_grad();
    tensor = tensor.detach().to(device);
    tensor.set_requires_grad(trained);
  };
  for (const auto& [name, tensor] : parameters_) move(*tensor);
  for (const auto& [name, tensor] : buffers_) move(*tensor);
  for (const auto& [name, child] : children_) child->to(device);
}

std::vector<Tensor> Module::trainable_parameters() const {
  std::vector<Tensor> trainable;
  for (const auto& [name, tensor] : parameters_)
    if (tensor->requires_grad()) trainable.push_back(*tensor);
  for (const auto& [name, child] : children_)
    for (const Tensor& tensor : child->trainable_parameters()) trainable.push_back(tensor);
  return trainable;
}

std::vector<Tensor> Module::moving_buffers() const {
  std::vector<Tensor> moving;
  if (!frozen_)
    for (const auto& [name, tensor] : buffers_) moving.push_back(*tensor);
  for (const auto& [name, child] : children_)
    for (const Tensor& tensor : child->moving_buffers()) moving.push_back(tensor);
  return moving;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : parameters_) count += tensor->count();
  for (const auto& [name, child] : children_) count += child->parameter_count();
  return count;
}

void Module::train(bool training) {
  training_ = training;
  for (const auto& [name, child] : children_) child->train(training);
}

void Module::freeze(bool frozen) {
  frozen_ = frozen;
  for (const auto& [name, tensor] : parameters_) tensor->set_requires_grad(!frozen);
  for (const auto& [name, child] : children_) child->freeze(frozen);
}

Tensor& Module::add_parameter(const std::string& name, Tensor& slot, Tensor value) {
  slot = std::move(value);
  slot.set_requires_grad(true);
  parameters_.emplace_back(name, &slot);
  return slot;
}

Tensor& Module::add_buffer(const std::string& name, Tensor& slot, Tensor value) {
  slot = std::move(value);
  buffers_.emplace_back(name, &slot);
  return slot;
}

}  // namespace maskwatch::nn
