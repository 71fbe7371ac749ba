// Inference plan: a network compiled once for an input size. Batch norm is folded into the weights
// before it, weights are packed for the kernels, and all values between layers lie in one arena,
// planned by lifetime. Running a plan allocates nothing. On the CPU several pictures run side by
// side, one per thread; the final layers, which act on vectors, process the whole batch at once. A
// single picture uses all threads in each layer. On another device every layer runs for the whole
// batch, and what a batch of some size queues is recorded (kernels::Device::record) and run again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/tensor.h"

namespace maskwatch::nn {

// What one picture holds at a point of the network; a vector has height = width = 1.
struct PictureShape {
  std::int64_t height = 1, width = 1, channels = 0;
  std::int64_t count() const { return height * width * channels; }
  bool operator==(const PictureShape&) const = default;
};

struct Value {
  int index = -1;
};

// Weights of a layer with batch norm folded in. bias: [out], or undefined for none.
struct FoldedWeights {
  Tensor weight;
  Tensor bias;
};

class Plan;

// One kernel call of a plan: its name with shapes, and its multiply-adds for one picture (of the
// layers with weights; 0 for the others).
struct PlanStep {
  std::string name;
  double products = 0;
};

// Collects the layers of a plan. Values are computed in the order of the calls. Shapes that do not
// fit: std::invalid_argument. Networks that are over a limit for memory or work
// (base/resource_limits.h), or of more than 16384 kernel calls: std::runtime_error.
class PlanBuilder {
 public:
  explicit PlanBuilder(PictureShape input, kernels::Device& device = kernels::cpu_device());

  Value input() const { return {0}; }
  const PictureShape& shape(Value value) const;

  // weight [kernel, kernel, in, out]. `conv` gives what the weights do not: stride, dilation, the
  // padding before and the size of the result (nn/padding.h places both); the rest is filled in.
  Value conv2d(Value x, const FoldedWeights& weights, kernels::ConvShape conv,
               kernels::Activation activation);
  // weight [3, 3, channels]; `conv` as above.
  Value depthwise3x3(Value x, const FoldedWeights& weights, kernels::ConvShape conv,
                     kernels::Activation activation);
  // weight [in, out]: a 1×1 convolution, or a dense layer on a vector. With `residual` (of the
  // result's shape) that is added after the activation.
  Value pointwise(Value x, const FoldedWeights& weights, kernels::Activation activation,
                  Value residual = {});
  struct Block {
    // [in, expanded], or a full convolution [k, k, in, expanded] of the shape expand_conv, or
    // undefined: no expansion. Then [3, 3, expanded] and [expanded, out]. All with biases.
    FoldedWeights expand, depthwise, project;
    // Stride, padding and output size.
    kernels::ConvShape depthwise_conv, expand_conv = {};
    bool residual = false;  // x is added at the end
    // Behind expansion and depthwise layer, and behind the projection.
    kernels::Activation activation = kernels::Activation::relu6;
    kernels::Activation out_activation = kernels::Activation::none;
  };
  // An inverted residual block, or a part of one, as one fused kernel.
  Value inverted_residual(Value x, const Block& block);
  // Global average pool of pointwise(x, weights, activation), which is never written to memory.
  Value pointwise_average_pool(Value x, const FoldedWeights& weights,
                               kernels::Activation activation);
  Value global_average_pool(Value x);
  Value add(Value a, Value b);
  Value activation(Value x, kernels::Activation activation);
  // Over channels, at every position.
  Value softmax(Value x);
  Value sigmoid(Value x);
  // All channels of the first, then of the second ...; of equal height and width.
  Value concat_channels(const std::vector<Value>& parts);
  // All rows of the first, then of the second ...; of equal width and channels.
  Value concat_rows(const std::vector<Value>& parts);
  // As upsample2x() in nn/ops/resize.h.
  Value upsample2x(Value x, std::int64_t height, std::int64_t width);
  // The same numbers under another shape of the same count.
  Value reshape(Value x, PictureShape shape);

  // Marks a result that Plan::output gives, in the order of the calls.
  void output(Value value);

 private:
  friend class Plan;

  // values[i]: where value i of these pictures lies.
  using Run = std::function<void(float* const* values, std::int64_t batch)>;
  struct Step {
    Run run;
    PlanStep about;
  };
  struct Definition {
    PictureShape shape;
    int first_step = 0, last_use = 0;
    int output = -1;
    int stored = -1;  // in Plan::stored_ rather than in an arena
  };

  // `products`: multiply-adds for one picture.
  Value define(const std::string& operation, double products, PictureShape shape,
               std::vector<Value> inputs, Run run);
  // The parts side by side: `repeats` times one chunk of each, as long as its share of a picture.
  Value interleave(PictureShape shape, const std::vector<Value>& parts, std::int64_t repeats);

  // Memory for `floats` numbers of packed weights. Layers that have the very same weights, as a
  // small file may have them by the thousand, share what `write` puts there for the first.
  Tensor packed(const std::vector<Tensor>& weights, std::int64_t floats,
                const std::function<void(float* packed)>& write);

  // Weights and bias on the device.
  FoldedWeights placed(const FoldedWeights& weights) const;

  // weight [in, out] as packed_gemm reads it.
  Tensor packed_gemm(const Tensor& weight, std::int64_t in, std::int64_t out);

  struct Packed {
    std::vector<Tensor> weights;  // kept: no other tensor may take their place in memory
    Tensor packed;
  };

  kernels::Device& device_;
  std::vector<Definition> values_;
  std::vector<Step> steps_;
  std::map<std::vector<const float*>, Packed> packed_;
  double work_ = 0;           // multiply-adds and additions for one picture
  std::int64_t weights_ = 0;  // floats of packed weights
  int outputs_ = 0;
};

class Plan {
 public:
  Plan(Plan&&) = default;
  Plan& operator=(Plan&&) = default;
  // `build` is given a builder and marks at least one output. Runs at most `capacity` pictures at a
  // time, on `device`, wherever the weights lie. Errors as PlanBuilder's.
  Plan(PictureShape input, std::int64_t capacity, const std::function<void(PlanBuilder&)>& build,
       kernels::Device& device = kernels::cpu_device());

  // pixels: batch pictures of the input shape in the host's memory, 1 <= batch <= capacity;
  // std::invalid_argument otherwise. Not for two threads at once.
  void run(const float* pixels, std::int64_t batch);

  // The same for x[n, height, width, channels] of any n, in pieces of the capacity: each output as
  // [n, height, width, channels], on the device of x: the CPU or the plan's.
  std::vector<Tensor> run_all(const Tensor& x);

  // Output i of the last run: batch × output_shape(i) numbers in the host's memory, valid until the
  // next run.
  const float* output(int i = 0) const;
  const PictureShape& output_shape(int i = 0) const;

  // What a run does, in order.
  std::vector<PlanStep> steps() const;
  // Runs one picture and adds to seconds[i] what step i took; seconds has one number for each step.
  void run_timed(const float* pixels, std::vector<double>& seconds);

  const PictureShape& input_shape() const { return input_; }
  std::int64_t capacity() const { return capacity_; }
  // Bytes of one picture's arena: the memory between layers that a run needs.
  std::int64_t arena_bytes() const {
    return arena_count_ * static_cast<std::int64_t>(sizeof(float));
  }
  // Bytes that it holds beside the weights: an arena for each picture that may run at a time (on
  // the CPU the capacity, or the number of threads when it was made, if that is less, or as many as
  // the limit for memory has room for; elsewhere the capacity), and all pictures' results.
  std::int64_t held_bytes() const;

 private:
  // How many floats it took, beside `weights` of packed ones.
  std::int64_t store_values(std::int64_t weights);
  void place_values();
  void make_arenas(std::int64_t room);
  void make_exchange();
  float* const* point_at(const float* pixels, std::int64_t picture, int worker);
  void run_picture(const float* pixels, std::int64_t picture, int worker);
  void run_pictures(const float* pixels, std::int64_t batch);
  void run_together(const float* pixels, std::int64_t batch);
  // Where the host does not share the device's memory: from exchange_.input to stored_.
  void run_on_device(std::int64_t batch);

  kernels::Device* device_;
  PictureShape input_;
  std::int64_t capacity_;
  std::vector<PlanBuilder::Definition> values_;
  std::vector<PlanBuilder::Step> steps_;
  std::vector<std::int64_t> offsets_;  // of each value in the arena, in floats
  std::int64_t arena_count_ = 0;
  // Steps from here on are a head on vectors: weights that a batch reads once. They run for all
  // pictures together, the steps before picture by picture.
  std::size_t first_together_ = 0;
  std::vector<Tensor>
      stored_;  // values of all pictures: outputs, and what those steps read and make
  std::vector<const float*> outputs_;
  std::vector<std::size_t> stored_outputs_;  // where in stored_ each lies
  std::vector<PictureShape> output_shapes_;
  std::vector<Tensor> arenas_;                 // one for each picture that may run at a time
  std::vector<std::vector<float*>> pointers_;  // where the values of that picture lie

  // What a run of one batch size queues on a device that is not the host.
  struct Queued {
    bool ran = false;  // so all memory that it needs is there
    std::unique_ptr<kernels::Recorded> recorded;
  };
  struct Exchange {
    Tensor input;                 // [capacity, height, width, channels] on the device
    std::vector<Tensor> outputs;  // as stored_ has them, on the CPU
    std::map<std::int64_t, Queued> queued;
  };
  Exchange exchange_;
};

// Weights with the batch norm (gamma, beta, mean, variance) behind them multiplied in; the last
// axis of `weight` is the output channel.
FoldedWeights fold_batch_norm(const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                              const Tensor& mean, const Tensor& variance, double epsilon);

}  // namespace maskwatch::nn
