#include "nn/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace maskwatch::nn {

double Schedule::at(std::int64_t step) const {
  const auto now = static_cast<double>(step);
  if (kind == Kind::inverse_time) return rate / (1 + decay * now);
  if (kind == Kind::constant || steps <= 0) return rate;
  if (step < warm_up) return rate * (now + 1) / static_cast<double>(warm_up);
  const double progress = (now - static_cast<double>(warm_up)) /
                          static_cast<double>(std::max<std::int64_t>(steps - warm_up, 1));
  return rate * 0.5 * (1 + std::cos(std::numbers::pi * std::min(progress, 1.0)));
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
  backend().adam(parameters_[index].data(), moments_[0].second[index].data(),
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

}  // namespace maskwatch::nn
