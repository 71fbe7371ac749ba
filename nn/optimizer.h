// Optimisers over the trainable parameters of a module, and learning-rate schedules.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "nn/module.h"

namespace maskwatch::nn {

// Learning rate at a step, counted from 0.
struct Schedule {
  enum class Kind {
    constant,
    inverse_time,  // rate / (1 + decay · step): Keras' legacy `decay`
    cosine,  // half a cosine from rate to last_share · rate over `steps` (Loshchilov & Hutter
             // 2017), after a linear warm-up
  };
  Kind kind = Kind::constant;
  double rate = 1e-4;
  double decay = 0;
  std::int64_t steps = 0;
  std::int64_t warm_up = 0;
  double last_share = 0;  // of `rate`, where the cosine ends

  double at(std::int64_t step) const {
    const auto now = static_cast<double>(step);
    if (kind == Kind::inverse_time) return rate / (1 + decay * now);
    if (kind == Kind::constant || steps <= 0) return rate;
    if (step < warm_up) return rate * (now + 1) / static_cast<double>(warm_up);
    const double progress = (now - static_cast<double>(warm_up)) /
                            static_cast<double>(std::max<std::int64_t>(steps - warm_up, 1));
    const double share = 0.5 * (1 + std::cos(std::numbers::pi * std::min(progress, 1.0)));
    return rate * (last_share + (1 - last_share) * share);
  }
};

// Takes a step from the gradients that the parameters hold; one without a gradient stays.
class Optimizer {
 public:
  explicit Optimizer(std::vector<Tensor> parameters) : parameters_(std::move(parameters)) {}
  virtual ~Optimizer() = default;

  void step(double learning_rate) {
    ++steps_;
    std::vector<Stepped> stepped;
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      if (const Tensor gradient = parameters_[i].grad(); gradient.defined())
        stepped.push_back({i, gradient});
    update(stepped, learning_rate);
  }

  void zero_grad() const {
    for (const Tensor& parameter : parameters_) parameter.zero_grad();
  }

  // Scales all gradients together so that their norm, which it returns, is at most `max_norm`
  // (Pascanu et al. 2013). A norm that is not finite: std::runtime_error.
  double clip_gradients(double max_norm) const {
    double squares = 0;
    for (const Tensor& parameter : parameters_)
      if (const Tensor gradient = parameter.grad(); gradient.defined())
        add_squares(squares, gradient);
    const double norm = std::sqrt(squares);
    if (!std::isfinite(norm))
      throw std::runtime_error("the gradients are not finite: training has diverged");
    if (norm <= max_norm) return norm;
    for (const Tensor& parameter : parameters_)
      if (const Tensor gradient = parameter.grad(); gradient.defined())
        gradient.device().table().scale(gradient.data(), gradient.data(), max_norm / norm,
                                        gradient.count());
    return norm;
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

  // As copy_state().
  void load_state(const StateDict& state, std::int64_t steps_taken) {
    copy_state(this->state(), state);
    steps_ = steps_taken;
  }

 protected:
  // A parameter that a step changes.
  struct Stepped {
    std::size_t index;
    Tensor gradient;
  };
  virtual void update(const std::vector<Stepped>& stepped, double learning_rate) = 0;

  // One tensor of zeros for each parameter.
  std::vector<Tensor> zeros_like_parameters() const {
    std::vector<Tensor> zeros;
    for (const Tensor& parameter : parameters_)
      zeros.push_back(Tensor::zeros(parameter.shape(), parameter.device()));
    return zeros;
  }

  std::vector<Tensor> parameters_;
  std::int64_t steps_ = 0;
  std::vector<std::pair<const char*, std::vector<Tensor>>> moments_;

 private:
  static void add_squares(double& sum, const Tensor& values) {
    if (!values.device().on_host()) {
      const Tensor squares = Tensor::empty({1}, values.device());
      values.device().table().sum_of_squares(squares.data(), values.data(), values.count());
      sum += squares.item();
      return;
    }
    for (std::int64_t i = 0; i < values.count(); ++i)
      sum += static_cast<double>(values.data()[i]) * values.data()[i];
  }
};

// Kingma & Ba 2015; with weight_decay AdamW (Loshchilov & Hutter 2019): a step first takes
// learning_rate · weight_decay of each weight away. Parameters of one axis (biases, batch norm) do
// not decay.
class Adam : public Optimizer {
 public:
  struct Options {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weight_decay = 0;
  };
  Adam(std::vector<Tensor> parameters, const Options& options)
      : Optimizer(std::move(parameters)), options_(options) {
    moments_ = {{"m", zeros_like_parameters()}, {"v", zeros_like_parameters()}};
  }
  explicit Adam(std::vector<Tensor> parameters) : Adam(std::move(parameters), Options{}) {}

 private:
  void update(const std::vector<Stepped>& stepped, double learning_rate) override {
    if (stepped.empty()) return;
    const auto& k = stepped.front().gradient.device().table();
    std::vector<kernels::AdamTensor<float>> list;
    for (const auto& [index, gradient] : stepped) {
      const Tensor& parameter = parameters_[index];
      if (options_.weight_decay > 0 && parameter.shape().size() > 1)
        k.scale(parameter.data(), parameter.data(), 1 - learning_rate * options_.weight_decay,
                parameter.count());
      list.push_back({parameter.data(), moments_[0].second[index].data(),
                      moments_[1].second[index].data(), gradient.data(), gradient.count()});
    }
    k.adam_many(list.data(), std::ssize(list),
                {learning_rate, options_.beta1, options_.beta2, options_.epsilon, steps_});
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
  void update(const std::vector<Stepped>& stepped, double learning_rate) override {
    for (const auto& [index, gradient] : stepped)
      gradient.device().table().sgd(
          parameters_[index].data(), moments_[0].second[index].data(), gradient.data(),
          {learning_rate, options_.momentum, options_.weight_decay}, gradient.count());
  }

  Options options_;
};

// The exponential moving average of a module's parameters and buffers over its steps (Polyak &
// Juditsky 1992). Of few steps it is closer to the last ones: step t counts with 1 - min(decay, (1
// + t) / (10 + t)).
class WeightAverage {
 public:
  // The module must outlive this.
  WeightAverage(const Module& module, double decay) : values_(module.state_dict()), decay_(decay) {
    for (const auto& [name, tensor] : values_) average_[name] = tensor.clone();
  }

  // After each step.
  void update() {
    const auto t = static_cast<double>(updates_++);
    const double decay = std::min(decay_, (1 + t) / (10 + t));
    for (const auto& [name, tensor] : values_)
      tensor.device().table().moving_average(average_.at(name).data(), tensor.data(), decay, 1,
                                             tensor.count());
  }

  // Exchanges the average and what the module holds: to evaluate or save, and back.
  void swap() {
    for (const auto& [name, tensor] : values_) {
      const Tensor held = tensor.clone();
      tensor.copy_from(average_.at(name));
      average_.at(name).copy_from(held);
    }
  }

  // For checkpoints; names as Module::state_dict() has them.
  const StateDict& state() const { return average_; }
  std::int64_t updates() const { return updates_; }
  // As copy_state().
  void load_state(const StateDict& state, std::int64_t updates) {
    copy_state(average_, state);
    updates_ = updates;
  }

 private:
  StateDict values_;  // the module's own
  StateDict average_;
  double decay_;
  std::int64_t updates_ = 0;
};

}  // namespace maskwatch::nn
