// Optimisers over the trainable parameters of a module, and learning-rate schedules.
#pragma once

#include <cstdint>
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

  double at(std::int64_t step) const;
};

// Takes a step from the gradients that the parameters hold; one without a gradient stays.
class Optimizer {
 public:
  explicit Optimizer(std::vector<Tensor> parameters) : parameters_(std::move(parameters)) {}
  virtual ~Optimizer() = default;

  void step(double learning_rate);
  void zero_grad() const;
  // Scales all gradients together so that their norm, which it returns, is at most `max_norm`
  // (Pascanu et al. 2013). A norm that is not finite: std::runtime_error.
  double clip_gradients(double max_norm) const;
  std::int64_t steps_taken() const { return steps_; }

  // Moments and step count, for checkpoints. load_state: std::invalid_argument for another set of
  // shapes.
  StateDict state() const;
  void load_state(const StateDict& state, std::int64_t steps_taken);

 protected:
  virtual void update(std::size_t index, const Tensor& gradient, double learning_rate) = 0;
  // One tensor of zeros for each parameter.
  std::vector<Tensor> zeros_like_parameters() const;

  std::vector<Tensor> parameters_;
  std::int64_t steps_ = 0;
  std::vector<std::pair<const char*, std::vector<Tensor>>> moments_;
};

// Kingma & Ba 2015; with weight_decay AdamW (Loshchilov & Hutter 2019): a step first takes
// learning_rate · weight_decay of each weight away. Parameters of one axis (biases, batch norm) do
// not decay.
class Adam : public Optimizer {
 public:
  struct Options {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weight_decay = 0;
  };
  Adam(std::vector<Tensor> parameters, const Options& options);
  explicit Adam(std::vector<Tensor> parameters) : Adam(std::move(parameters), Options{}) {}

 private:
  void update(std::size_t index, const Tensor& gradient, double learning_rate) override;
  Options options_;
};

class Sgd : public Optimizer {
 public:
  struct Options {
    double momentum = 0.9, weight_decay = 0;
  };
  Sgd(std::vector<Tensor> parameters, const Options& options);

 private:
  void update(std::size_t index, const Tensor& gradient, double learning_rate) override;
  Options options_;
};

// The exponential moving average of a module's parameters and buffers over its steps (Polyak &
// Juditsky 1992). Of few steps it is closer to the last ones: step t counts with 1 - min(decay, (1
// + t) / (10 + t)).
class WeightAverage {
 public:
  // The module must outlive this.
  WeightAverage(const Module& module, double decay);

  // After each step.
  void update();
  // Exchanges the average and what the module holds: to evaluate or save, and back.
  void swap();

  // For checkpoints; names as Module::state_dict() has them. load_state: std::invalid_argument for
  // another set of shapes.
  const StateDict& state() const { return average_; }
  std::int64_t updates() const { return updates_; }
  void load_state(const StateDict& state, std::int64_t updates);

 private:
  StateDict values_;  // the module's own
  StateDict average_;
  double decay_;
  std::int64_t updates_ = 0;
};

}  // namespace maskwatch::nn
