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
    cosine,  // half a cosine from rate to 0 over `steps` (Loshchilov & Hutter 2017), after a linear
             // warm-up
  };
  Kind kind = Kind::constant;
  double rate = 1e-4;
  double decay = 0;
  std::int64_t steps = 0;
  std::int64_t warm_up = 0;

  double at(std::int64_t step) const;
};

// Takes a step from the gradients that the parameters hold; one without a gradient stays.
class Optimizer {
 public:
  explicit Optimizer(std::vector<Tensor> parameters) : parameters_(std::move(parameters)) {}
  virtual ~Optimizer() = default;

  void step(double learning_rate);
  void zero_grad() const;
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

// Kingma & Ba 2015.
class Adam : public Optimizer {
 public:
  struct Options {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
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

}  // namespace maskwatch::nn
