#include "nn/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <stdexcept>
#include <utility>

#include "nn/memory.h"

namespace maskwatch::nn {

struct Tensor::Node {
  std::uint64_t sequence;  // grows with creation: results come after their inputs
  std::vector<Tensor> inputs;
  std::function<void(const Tensor&)> backward;
};

struct Tensor::Body {
  Shape shape;
  kernels::Device* device;
  std::shared_ptr<float> values;
  bool requires_grad = false;
  std::shared_ptr<Body> gradient;
  std::shared_ptr<Node> node;
  bool history_used = false;  // backward() has been through `node` and freed it
};

namespace {

thread_local Recording current_recording = Recording::on;

}  // namespace

Recording recording() { return current_recording; }

RecordingScope::RecordingScope(Recording recording)
    : before_(std::exchange(current_recording, recording)) {}

RecordingScope::~RecordingScope() { current_recording = before_; }

std::int64_t count_of(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) count *= dim;
  return count;
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Tensor Tensor::uninitialised(Shape shape, kernels::Device& device, bool staged_for_it) {
  for (const std::int64_t dim : shape)
    if (dim < 0) throw std::invalid_argument("Tensor: negative dimension in " + to_string(shape));
  Tensor tensor;
  tensor.body_ = std::make_shared<Body>();
  tensor.body_->device = staged_for_it ? &kernels::cpu_device() : &device;
  tensor.body_->values =
      staged_for_it ? allocate_staging(count_of(shape), device) : allocate(count_of(shape), device);
  tensor.body_->shape = std::move(shape);
  return tensor;
}

Tensor Tensor::empty(Shape shape, kernels::Device& device) {
  return uninitialised(std::move(shape), device, false);
}

Tensor Tensor::staged(Shape shape, kernels::Device& device) {
  return uninitialised(std::move(shape), device, true);
}

Tensor Tensor::full(Shape shape, float value, kernels::Device& device) {
  Tensor tensor = empty(std::move(shape));
  std::fill_n(tensor.data(), tensor.count(), value);
  return tensor.to(device);
}

Tensor Tensor::zeros(Shape shape, kernels::Device& device) {
  Tensor tensor = empty(std::move(shape), device);
  device.fill_zero(tensor.data(), tensor.bytes());
  return tensor;
}

Tensor Tensor::from(Shape shape, const std::vector<float>& values) {
  if (count_of(shape) != static_cast<std::int64_t>(values.size()))
    throw std::invalid_argument(
        fmt::format("Tensor::from: {} values for shape {}", values.size(), to_string(shape)));
  Tensor tensor = empty(std::move(shape));
  std::copy(values.begin(), values.end(), tensor.data());
  return tensor;
}

const Shape& Tensor::shape() const {
  if (!body_) throw std::invalid_argument("Tensor: used before it was given values");
  return body_->shape;
}

std::int64_t Tensor::dim(int axis) const {
  const int rank = static_cast<int>(shape().size());
  const int index = axis < 0 ? axis + rank : axis;
  if (index < 0 || index >= rank)
    throw std::invalid_argument(
        fmt::format("Tensor::dim: axis {} of shape {}", axis, to_string(shape())));
  return body_->shape[static_cast<std::size_t>(index)];
}

kernels::Device& Tensor::device() const {
  shape();
  return *body_->device;
}

float* Tensor::data() const {
  shape();
  return body_->values.get();
}

std::size_t Tensor::bytes() const { return static_cast<std::size_t>(count()) * sizeof(float); }

float Tensor::item() const {
  if (count() != 1)
    throw std::invalid_argument("Tensor::item: shape " + to_string(shape()) + " is not one value");
  float value = 0;
  device().copy_out(&value, data(), sizeof(value));
  return value;
}

std::vector<float> Tensor::values() const {
  std::vector<float> values(static_cast<std::size_t>(count()));
  device().copy_out(values.data(), data(), bytes());
  return values;
}

Tensor Tensor::reshaped(Shape shape) const {
  if (count_of(shape) != count())
    throw std::invalid_argument("Tensor::reshaped: " + to_string(this->shape()) + " to " +
                                to_string(shape));
  const Tensor view = viewed(std::move(shape));
  view.record({*this},
              [x = *this](const Tensor& gradient) { x.add_gradient(gradient.viewed(x.shape())); });
  return view;
}

Tensor Tensor::viewed(Shape shape) const {
  Tensor view;
  view.body_ = std::make_shared<Body>();
  view.body_->device = body_->device;
  view.body_->values = body_->values;
  view.body_->shape = std::move(shape);
  return view;
}

Tensor Tensor::to(kernels::Device& device) const {
  if (&device == &this->device()) return *this;
  const Tensor copy = empty(shape(), device);
  copy.copy_from(*this);
  copy.record({*this},
              [x = *this](const Tensor& gradient) { x.add_gradient(gradient.to(x.device())); });
  return copy;
}

Tensor Tensor::clone() const {
  Tensor copy = empty(shape(), device());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::detach() const { return viewed(shape()); }

void Tensor::copy_from(const Tensor& other) const {
  if (shape() != other.shape())
    throw std::invalid_argument("Tensor::copy_from: " + to_string(other.shape()) + " into " +
                                to_string(shape()));
  kernels::Device &to = device(), &from = other.device();
  if (&to == &from) {
    to.copy(data(), other.data(), bytes());
  } else if (from.on_host()) {
    to.copy_in(data(), other.data(), bytes());
  } else if (to.on_host()) {
    from.copy_out(data(), other.data(), bytes());
  } else {
    const std::vector<float> values = other.values();
    to.copy_in(data(), values.data(), bytes());
  }
}

bool Tensor::requires_grad() const { return body_ && body_->requires_grad; }

Tensor& Tensor::set_requires_grad(bool value) {
  shape();
  body_->requires_grad = value;
  return *this;
}

Tensor Tensor::grad() const {
  Tensor gradient;
  if (body_) gradient.body_ = body_->gradient;
  return gradient;
}

void Tensor::zero_grad() const {
  if (body_) body_->gradient.reset();
}

void Tensor::record(const std::vector<Tensor>& inputs,
                    std::function<void(const Tensor&)> backward) const {
  static std::atomic<std::uint64_t> next_sequence{0};
  const bool needed =
      std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.requires_grad(); });
  if (!needed || recording() == Recording::off) return;
  body_->requires_grad = true;
  body_->node = std::make_shared<Node>();
  body_->node->sequence = next_sequence++;
  for (const Tensor& input : inputs)
    if (input.requires_grad()) body_->node->inputs.push_back(input);
  body_->node->backward = std::move(backward);
}

bool Tensor::sole_owner() const {
  return body_ && body_.use_count() == 1 && body_->values.use_count() == 1;
}

void Tensor::add_gradient(const Tensor& gradient) const {
  if (!requires_grad()) return;
  if (gradient.shape() != shape())
    throw std::invalid_argument("Tensor::add_gradient: gradient " + to_string(gradient.shape()) +
                                " of a tensor " + to_string(shape()));
  if (&gradient.device() != &device())
    throw std::invalid_argument("Tensor::add_gradient: gradient on " + gradient.device().name() +
                                " of a tensor on " + device().name());
  if (!body_->gradient) {
    body_->gradient = gradient.body_;
    return;
  }
  // Into a fresh sum: what came first may be shared with another input of the same operation.
  Tensor sum = empty(shape(), device());
  device().table().add(sum.data(), body_->gradient->values.get(), gradient.data(), count());
  body_->gradient = sum.body_;
}

void Tensor::backward() const {
  if (count() != 1)
    throw std::invalid_argument("Tensor::backward: shape " + to_string(shape()) +
                                " is not one value");
  backward(full(shape(), 1, device()));
}

void Tensor::backward(const Tensor& gradient) const {
  if (!requires_grad())
    throw std::invalid_argument("Tensor::backward: nothing here requires a gradient");
  const auto require_history = [](const Tensor& tensor) {
    if (tensor.body_->history_used)
      throw std::invalid_argument(
          "Tensor::backward: the history was freed by an earlier backward()");
  };
  require_history(*this);
  add_gradient(gradient);
  // By age, newest last; a result used twice stands here once.
  std::map<std::uint64_t, Tensor> pending;
  if (body_->node) pending.emplace(body_->node->sequence, *this);
  while (!pending.empty()) {
    const auto newest = std::prev(pending.end());
    const Tensor result = newest->second;
    pending.erase(newest);
    const std::shared_ptr<Node> node = std::exchange(result.body_->node, nullptr);
    result.body_->history_used = true;
    for (const Tensor& input : node->inputs) require_history(input);
    const Tensor its_gradient = result.grad();
    if (!result.is(*this)) result.zero_grad();
    node->backward(its_gradient);
    for (const Tensor& input : node->inputs)
      if (input.body_->node) pending.emplace(input.body_->node->sequence, input);
  }
}

}  // namespace maskwatch::nn
