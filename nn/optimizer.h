// Optimisers over the trainable parameters of a module, and learning-rate schedules.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "nn/module.h"
#include "nn/ops/check.h"

namespace maskwatch::nn {

// Learning rate at a step, counted from 0.
struct Schedule {
  enum class Kind {
    constant,
    inverse_time,  // rate / (1 + decay · step): Keras' legacy `decay`
    cosine,  // half a cosine from rate to 0 over `steps` (Loshchilov & Hutter 2017), after a linear
             // warm-up
  };
  Kind kind = Kind::constant;
  double rate = 1e-4;
  double decay = 0;
  std::int64_t steps = 0;
  std::int64_t warm_up = 0;

  double at(std::int64_t step) const {
    const auto now = static_cast<double>(step);
    if (kind == Kind::inverse_time) return rate / (1 + decay * now);
    if (kind == Kind::constant || steps <= 0) return rate;
    if (step < warm_up) return rate * (now + 1) / static_cast<double>(warm_up);
    const double progress = (now - static_cast<double>(warm_up)) /
                            static_cast<double>(std::max<std::int64_t>(steps - warm_up, 1));
    return rate * 0.5 * (1 + std::cos(std::numbers::pi * std::min(progress, 1.0)));
  }
};

// Takes a step from the gradients that the parameters hold; one without a gradient stays.
class Optimizer {
 public:
  explicit Optimizer(std::vector<Tensor> parameters) : parameters_(std::move(parameters)) {}
  virtual ~Optimizer() = default;

  void step(double learning_rate) {
    ++steps_;
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      if (const Tensor gradient = parameters_[i].grad(); gradient.defined())
        update(i, gradient, learning_rate);
  }

  void zero_grad() const {
    for (const Tensor& parameter : parameters_) parameter.zero_grad();
  }

  std::int64_t steps_taken() const { return steps_; }

  // Moments by name and number of the parameter, for checkpoints.
  StateDict state() const {
    StateDict state;
    for (const auto& [name, tensors] : moments_)
      for (std::size_t i = 0; i < tensors.size(); ++i)
        state[std::string(name) + "." + std::to_string(i)] = tensors[i];
    return state;
  }

  // Copies values in. std::invalid_argument for another set of shapes; then nothing has changed.
  void load_state(const StateDict& state, std::int64_t steps_taken) {
    const StateDict own = this->state();
    for (const auto& [name, tensor] : own) {
      const auto found = state.find(name);
      if (found == state.end() || found->second.shape() != tensor.shape())
        reject("Optimizer::load_state", name + " is missing or of another shape");
    }
    for (const auto& [name, tensor] : own) tensor.copy_from(state.at(name));
    steps_ = steps_taken;
  }

 protected:
  virtual void update(std::size_t index, const Tensor& gradient, double learning_rate) = 0;

  // One tensor of zeros for each parameter.
  std::vector<Tensor> zeros_like_parameters() const {
    std::vector<Tensor> zeros;
    for (const Tensor& parameter : parameters_) zeros.push_back(Tensor::zeros(parameter.shape()));
    return zeros;
  }

  std::vector<Tensor> parameters_;
  std::int64_t steps_ = 0;
  std::vector<std::pair<const char*, std::vector<Tensor>>> moments_;
};

// Kingma & Ba 2015.
class Adam : public Optimizer {
 public:
  struct Options {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  };
  Adam(std::vector<Tensor> parameters, const Options& options)
      : Optimizer(std::move(parameters)), options_(options) {
    moments_ = {{"m", zeros_like_parameters()}, {"v", zeros_like_parameters()}};
  }
  explicit Adam(std::vector<Tensor> parameters) : Adam(std::move(parameters), Options{}) {}

 private:
  void update(std::size_t index, const Tensor& gradient, double learning_rate) override {
    backend().adam(parameters_[index].data(), moments_[0].second[index].data(),
                   moments_[1].second[index].data(), gradient.data(),
                   {learning_rate, options_.beta1, options_.beta2, options_.epsilon, steps_},
                   gradient.count());
  }

  Options options_;
};

// With momentum and weight decay, as PyTorch's.
class Sgd : public Optimizer {
 public:
  struct Options {
    double momentum = 0.9, weight_decay = 0;
  };
  Sgd(std::vector<Tensor> parameters, const Options& options)
      : Optimizer(std::move(parameters)), options_(options) {
    moments_ = {{"velocity", zeros_like_parameters()}};
  }

 private:
  void update(std::size_t index, const Tensor& gradient, double learning_rate) override {
    backend().sgd(parameters_[index].data(), moments_[0].second[index].data(), gradient.data(),
                  {learning_rate, options_.momentum, options_.weight_decay}, gradient.count());
  }

  Options options_;
};

}  // namespace maskwatch::nn
