// Inference plan: a graph compiled once. Weights are packed for the kernels, and all values between
// layers lie in one arena, planned by lifetime. Running a plan allocates nothing. On the CPU
// several pictures run side by side, one per thread; the final layers, which act on vectors,
// process the whole batch at once. A single picture uses all threads in each layer. On another
// device every layer runs for the whole batch, and what a batch of some size queues is recorded
// (kernels::Device::record) and run again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "nn/graph.h"
#include "nn/plan_steps.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

class Plan {
 public:
  Plan(Plan&&) = default;
  Plan& operator=(Plan&&) = default;
  // Each node is a step; fuse() (nn/fuse.h) makes fewer of them. Runs at most `capacity` pictures
  // at a time, on `device`, wherever the weights lie. std::invalid_argument for a graph without
  // outputs or with an empty input, std::runtime_error for networks that are over a limit for
  // memory or work (base/resource_limits.h), or of more than 16384 steps.
  Plan(const Graph& graph, std::int64_t capacity, kernels::Device& device = kernels::cpu_device());

  // pixels: batch pictures of the input shape in the host's memory, 1 <= batch <= capacity;
  // std::invalid_argument otherwise. Not for two threads at once.
  void run(const float* pixels, std::int64_t batch);

  // The same for x[n, height, width, channels] of any n, in pieces of the capacity: each output as
  // [n, height, width, channels], on the device of x: the CPU or the plan's.
  std::vector<Tensor> run_all(const Tensor& x);

  // Output i of the last run: batch × output_shape(i) numbers in the host's memory, valid until the
  // next run.
  const float* output(int i = 0) const;
  const ActivationShape& output_shape(int i = 0) const;

  // What a run does, in order.
  std::vector<PlanStep> steps() const;
  // Runs as run(), on the CPU one picture after the other, and adds to seconds[i] what step i took;
  // seconds has one number for each step.
  void run_timed(const float* pixels, std::int64_t batch, std::vector<double>& seconds);

  kernels::Device& device() const { return *device_; }
  const ActivationShape& input_shape() const { return input_; }
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
  void check_batch(std::int64_t batch) const;
  // Where the host does not share the device's memory: from exchange_.input to stored_.
  void run_on_device(std::int64_t batch);

  kernels::Device* device_;
  ActivationShape input_;
  std::int64_t capacity_;
  std::vector<PlanValue> values_;
  std::vector<RunnableStep> steps_;
  std::vector<std::int64_t> offsets_;  // of each value in the arena, in floats
  std::int64_t arena_count_ = 0;
  // Steps from here on are a head on vectors: weights that a batch reads once. They run for all
  // pictures together, the steps before picture by picture.
  std::size_t first_together_ = 0;
  std::vector<Tensor>
      stored_;  // values of all pictures: outputs, and what those steps read and make
  std::vector<const float*> outputs_;
  std::vector<std::size_t> stored_outputs_;  // where in stored_ each lies
  std::vector<ActivationShape> output_shapes_;
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

}  // namespace maskwatch::nn
