#include "nn/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <utility>

namespace maskwatch::nn {

double Schedule::at(std::int64_t step) const {
  const auto now = static_cast<double>(step);
  if (kind == Kind::inverse_time) return rate / (1 + decay * now);
  if (kind == Kind::constant || steps <= 0) return rate;
  if (step < warm_up) return rate * (now + 1) / static_cast<double>(warm_up);
  const double progress = (now - static_cast<double>(warm_up)) /
                          static_cast<double>(std::max<std::int64_t>(steps - warm_up, 1));
  const double share = 0.5 * (1 + std::cos(std::numbers::pi * std::min(progress, 1.0)));
  return rate * (last_share + (1 - last_share) * share);
}

void Optimizer::step(double learning_rate) {
  ++steps_;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (const Tensor gradient = parameters_[i].grad(); gradient.defined())
      update(i, gradient, learning_rate);
}

void Optimizer::zero_grad() const {
  for (const Tensor& parameter : parameters_) parameter.zero_grad();
}

double Optimizer::clip_gradients(double max_norm) const {
  double squares = 0;
  for (const Tensor& parameter : parameters_)
    if (const Tensor gradient = parameter.grad(); gradient.defined())
      for (std::int64_t i = 0; i < gradient.count(); ++i)
        squares += static_cast<double>(gradient.data()[i]) * gradient.data()[i];
  const double norm = std::sqrt(squares);
  if (!std::isfinite(norm))
    throw std::runtime_error("the gradients are not finite: training has diverged");
  if (norm <= max_norm) return norm;
  for (const Tensor& parameter : parameters_)
    if (const Tensor gradient = parameter.grad(); gradient.defined())
      backend().scale(gradient.data(), gradient.data(), max_norm / norm, gradient.count());
  return norm;
}

StateDict Optimizer::state() const {
  StateDict state;
  for (const auto& [name, tensors] : moments_)
    for (std::size_t i = 0; i < tensors.size(); ++i)
      state[fmt::format("{}.{}", name, i)] = tensors[i];
  return state;
}

void Optimizer::load_state(const StateDict& state, std::int64_t steps_taken) {
  const StateDict own = this->state();
  for (const auto& [name, tensor] : own) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.shape() != tensor.shape())
      throw std::invalid_argument("Optimizer::load_state: " + name +
                                  " is missing or of another shape");
  }
  for (const auto& [name, tensor] : own) tensor.copy_from(state.at(name));
  steps_ = steps_taken;
}

std::vector<Tensor> Optimizer::zeros_like_parameters() const {
  std::vector<Tensor> zeros;
  for (const Tensor& parameter : parameters_) zeros.push_back(Tensor::zeros(parameter.shape()));
  return zeros;
}

Adam::Adam(std::vector<Tensor> parameters, const Options& options)
    : Optimizer(std::move(parameters)), options_(options) {
  moments_ = {{"m", zeros_like_parameters()}, {"v", zeros_like_parameters()}};
}

void Adam::update(std::size_t index, const Tensor& gradient, double learning_rate) {
  const Tensor& parameter = parameters_[index];
  if (options_.weight_decay > 0 && parameter.shape().size() > 1)
    backend().scale(parameter.data(), parameter.data(), 1 - learning_rate * options_.weight_decay,
                    parameter.count());
  backend().adam(parameter.data(), moments_[0].second[index].data(),
                 moments_[1].second[index].data(), gradient.data(),
                 {learning_rate, options_.beta1, options_.beta2, options_.epsilon, steps_},
                 gradient.count());
}

Sgd::Sgd(std::vector<Tensor> parameters, const Options& options)
    : Optimizer(std::move(parameters)), options_(options) {
  moments_ = {{"velocity", zeros_like_parameters()}};
}

void Sgd::update(std::size_t index, const Tensor& gradient, double learning_rate) {
  backend().sgd(parameters_[index].data(), moments_[0].second[index].data(), gradient.data(),
                {learning_rate, options_.momentum, options_.weight_decay}, gradient.count());
}

WeightAverage::WeightAverage(const Module& module, double decay)
    : values_(module.state_dict()), decay_(decay) {
  for (const auto& [name, tensor] : values_) average_[name] = tensor.clone();
}

void WeightAverage::update() {
  const auto t = static_cast<double>(updates_++);
  const double decay = std::min(decay_, (1 + t) / (10 + t));
  for (const auto& [name, tensor] : values_) {
    float* average = average_.at(name).data();
    for (std::int64_t i = 0; i < tensor.count(); ++i)
      average[i] = static_cast<float>(decay * average[i] + (1 - decay) * tensor.data()[i]);
  }
}

void WeightAverage::swap() {
  for (const auto& [name, tensor] : values_)
    std::swap_ranges(tensor.data(), tensor.data() + tensor.count(), average_.at(name).data());
}

void WeightAverage::load_state(const StateDict& state, std::int64_t updates) {
  for (const auto& [name, tensor] : average_) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.shape() != tensor.shape())
      throw std::invalid_argument("WeightAverage::load_state: " + name +
                                  " is missing or of another shape");
  }
  for (const auto& [name, tensor] : average_) tensor.copy_from(state.at(name));
  updates_ = updates;
}

}  // namespace maskwatch::nn
