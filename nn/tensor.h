// Tensor: float32 values with a shape, and the history that autograd follows back through them.
//
// A Tensor is a handle: copies share values, gradient and history. Activations are NHWC, row-major.
// An operation in nn/ops/ with an input that requires a gradient hangs a Node on its result;
// backward() walks the nodes from the newest to the oldest. Gradients accumulate until zero_grad().
//
// The values lie on a device (kernels/device.h), where operations on them run; the inputs of one
// operation lie on the same. The host reads and writes data() of a tensor on the CPU alone; from
// another device values(), item() and to() fetch, and copy_from() brings.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace maskwatch::nn {

using Shape = std::vector<std::int64_t>;

std::int64_t count_of(const Shape& shape);
// "[32, 7, 7, 1280]"
std::string to_string(const Shape& shape);

// What operations on this thread do about gradients.
enum class Recording {
  on,     // keep what backward() needs
  off,    // keep nothing: results have no history
  again,  // keep it, for a part that ran before: batch norm moves no running statistics
};
Recording recording();

class RecordingScope {
 public:
  explicit RecordingScope(Recording recording);
  ~RecordingScope();
  RecordingScope(const RecordingScope&) = delete;
  RecordingScope& operator=(const RecordingScope&) = delete;

 private:
  Recording before_;
};

class Tensor {
 public:
  Tensor() = default;

  // Uninitialised values. The device must outlive the tensor.
  static Tensor empty(Shape shape, kernels::Device& device = kernels::cpu_device());
  static Tensor full(Shape shape, float value, kernels::Device& device = kernels::cpu_device());
  static Tensor zeros(Shape shape, kernels::Device& device = kernels::cpu_device());
  // Uninitialised values on the CPU, in memory from which to(device) copies fastest. The tensor
  // must live until that copy is over: until something that was computed from it has been fetched.
  static Tensor staged(Shape shape, kernels::Device& device);
  // std::invalid_argument when the number of values is not that of the shape.
  static Tensor from(Shape shape, const std::vector<float>& values);

  bool defined() const { return body_ != nullptr; }
  const Shape& shape() const;
  std::int64_t dim(int axis) const;  // negative axes count from the last
  std::int64_t count() const { return count_of(shape()); }
  kernels::Device& device() const;
  // In the device's memory.
  float* data() const;
  // The one value of a tensor of count 1.
  float item() const;
  std::vector<float> values() const;

  // The same values under another shape of the same count; differentiable.
  // std::invalid_argument for another count.
  Tensor reshaped(Shape shape) const;
  // The same values on another device, or this very tensor where it is there; differentiable.
  Tensor to(kernels::Device& device) const;
  Tensor cpu() const { return to(kernels::cpu_device()); }
  Tensor clone() const;
  // The same values without history.
  Tensor detach() const;
  // From any device. std::invalid_argument for another shape.
  void copy_from(const Tensor& other) const;

  bool requires_grad() const;
  Tensor& set_requires_grad(bool value);
  // Undefined until backward() reached this tensor.
  Tensor grad() const;
  void zero_grad() const;

  // Gradients of this scalar with respect to every tensor that requires one. The history is freed
  // on the way, so it serves once: std::invalid_argument where a tensor's history is gone already
  // (backward twice, or through a part that two results share), or where there is none.
  void backward() const;
  // The same from a given gradient of this tensor.
  void backward(const Tensor& gradient) const;

  // --- For operations (nn/ops/) ---

  // `backward` is given the gradient of this result, mostly as its sole owner, and calls
  // add_gradient on its inputs. Does nothing unless one of `inputs` requires a gradient; so what
  // `backward` captures is not kept for frozen parts.
  void record(const std::vector<Tensor>& inputs,
              std::function<void(const Tensor& gradient)> backward) const;
  // Adds to the gradient if this tensor requires one. Takes `gradient` itself when it is the first.
  void add_gradient(const Tensor& gradient) const;

  // Whether nobody else can see these values: then an operation may overwrite them.
  bool sole_owner() const;

  // Whether both handles name the same tensor.
  bool is(const Tensor& other) const { return body_ == other.body_; }

 private:
  struct Node;
  struct Body;

  std::size_t bytes() const;
  static Tensor uninitialised(Shape shape, kernels::Device& device, bool staged_for_it);
  // The same values under another shape, without history.
  Tensor viewed(Shape shape) const;

  std::shared_ptr<Body> body_;
};

}  // namespace maskwatch::nn
