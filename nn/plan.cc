#include "nn/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>

#include "base/parallel.h"

namespace maskwatch::nn {
namespace {

// Of the CPU nothing: its calls are done when they return.
std::unique_lock<std::mutex> lock_of(kernels::Device& device) {
  return device.on_host() ? std::unique_lock<std::mutex>()
                          : std::unique_lock<std::mutex>(device.mutex());
}

std::size_t bytes_of(std::int64_t floats) {
  return static_cast<std::size_t>(floats) * sizeof(float);
}

constexpr std::int64_t kAlignedFloats = 16;

std::int64_t aligned(std::int64_t count) {
  return (count + kAlignedFloats - 1) / kAlignedFloats * kAlignedFloats;
}

}  // namespace

Plan::Plan(const Graph& graph, std::int64_t capacity, kernels::Device& device)
    : device_(&device), input_(graph.shape(graph.input())), capacity_(capacity) {
  if (input_.count() <= 0 || capacity < 1)
    throw std::invalid_argument(
        fmt::format("Plan: input {} with capacity {}", to_string(input_), capacity));
  if (graph.outputs().empty()) throw std::invalid_argument("Plan: no output was marked");
  const auto lock = lock_of(device);
  PlanSteps made = plan_steps(graph, device);
  values_ = std::move(made.values);
  steps_ = std::move(made.steps);
  outputs_.resize(graph.outputs().size());
  stored_outputs_.resize(outputs_.size());
  output_shapes_.resize(outputs_.size());
  const std::int64_t stored = store_values(made.weights);
  place_values();
  make_arenas(most_network_floats() - made.weights - stored);
  if (!device.on_host()) make_exchange();
}

// On the CPU pictures share the memory that is left; one must have room. Elsewhere all lie in one
// arena, each value with those of its kind.
void Plan::make_arenas(std::int64_t room) {
  const std::int64_t together = device_->on_host() ? 1 : capacity_;
  if (arena_count_ > room / together)
    fail_for_memory(most_network_floats() - room + arena_count_ * together);
  const std::int64_t fitting = arena_count_ > 0 ? room / arena_count_ : capacity_;
  const std::int64_t workers =
      device_->on_host() ? std::min({capacity_, static_cast<std::int64_t>(threads()), fitting}) : 1;
  for (std::int64_t worker = 0; worker < workers; ++worker) {
    arenas_.push_back(Tensor::empty({arena_count_ * together}, *device_));
    std::vector<float*> pointers(values_.size());
    for (std::size_t i = 0; i < values_.size(); ++i)
      pointers[i] = arenas_.back().data() + offsets_[i] * together;
    pointers_.push_back(std::move(pointers));
  }
}

void Plan::make_exchange() {
  exchange_.input =
      Tensor::empty({capacity_, input_.height, input_.width, input_.channels}, *device_);
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    exchange_.outputs.push_back(Tensor::empty(stored_[stored_outputs_[i]].shape()));
    outputs_[i] = exchange_.outputs.back().data();
  }
}

std::int64_t Plan::store_values(std::int64_t weights) {
  const auto is_vector = [](const ActivationShape& shape) {
    return shape.height == 1 && shape.width == 1;
  };
  // Step i makes value i + 1.
  first_together_ = device_->on_host() ? steps_.size() : 0;
  while (first_together_ > 0 && is_vector(values_[first_together_].shape)) --first_together_;
  const auto first = static_cast<int>(first_together_);
  std::int64_t floats = 0;
  for (std::size_t i = 1; i < values_.size(); ++i) {
    auto& value = values_[i];
    if (value.output < 0 && (value.last_use < first || !device_->on_host())) continue;
    value.stored = static_cast<int>(stored_.size());
    floats += capacity_ * value.shape.count();
    if (weights + floats > most_network_floats()) fail_for_memory(weights + floats);
    stored_.push_back(Tensor::empty(
        {capacity_, value.shape.height, value.shape.width, value.shape.channels}, *device_));
    if (value.output < 0) continue;
    stored_outputs_[static_cast<std::size_t>(value.output)] = stored_.size() - 1;
    outputs_[static_cast<std::size_t>(value.output)] = stored_.back().data();
    output_shapes_[static_cast<std::size_t>(value.output)] = value.shape;
  }
  return floats;
}

// Largest first, each at the lowest offset where no value that lives at the same time lies.
void Plan::place_values() {
  offsets_.assign(values_.size(), 0);
  std::vector<std::size_t> order;
  for (std::size_t i = 1; i < values_.size(); ++i)
    if (values_[i].stored < 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return values_[a].shape.count() > values_[b].shape.count();
  });
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t i : order) {
    const std::int64_t size = aligned(values_[i].shape.count());
    std::int64_t offset = 0;
    for (const std::size_t j : placed) {
      const bool together = values_[i].first_step <= values_[j].last_use &&
                            values_[j].first_step <= values_[i].last_use;
      if (!together) continue;
      if (offset + size <= offsets_[j]) break;
      offset = std::max(offset, offsets_[j] + aligned(values_[j].shape.count()));
    }
    offsets_[i] = offset;
    arena_count_ = std::max(arena_count_, offset + size);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), i,
                         [&](std::size_t a, std::size_t b) { return offsets_[a] < offsets_[b]; }),
        i);
  }
}

float* const* Plan::point_at(const float* pixels, std::int64_t picture, int worker) {
  std::vector<float*>& pointers = pointers_[static_cast<std::size_t>(worker)];
  // Steps only read value 0.
  pointers[0] = const_cast<float*>(pixels) + picture * input_.count();
  for (std::size_t i = 0; i < values_.size(); ++i)
    if (values_[i].stored >= 0)
      pointers[i] = stored_[static_cast<std::size_t>(values_[i].stored)].data() +
                    picture * values_[i].shape.count();
  return pointers.data();
}

void Plan::run_picture(const float* pixels, std::int64_t picture, int worker) {
  float* const* values = point_at(pixels, picture, worker);
  for (std::size_t i = 0; i < first_together_; ++i) steps_[i].run(values, 1);
}

void Plan::run_together(const float* pixels, std::int64_t batch) {
  float* const* values = point_at(pixels, 0, 0);
  for (std::size_t i = first_together_; i < steps_.size(); ++i) steps_[i].run(values, batch);
}

std::vector<PlanStep> Plan::steps() const {
  std::vector<PlanStep> steps;
  for (const auto& step : steps_) steps.push_back(step.about);
  return steps;
}

void Plan::run_timed(const float* pixels, std::int64_t batch, std::vector<double>& seconds) {
  using Clock = std::chrono::steady_clock;
  check_batch(batch);
  if (seconds.size() != steps_.size())
    throw std::invalid_argument(
        fmt::format("Plan::run_timed: {} numbers for {} steps", seconds.size(), steps_.size()));
  if (!device_->on_host()) {
    device_->copy_in(exchange_.input.data(), pixels, bytes_of(batch * input_.count()));
    pixels = exchange_.input.data();
  }
  const auto time_step = [&](std::size_t i, float* const* values, std::int64_t pictures) {
    device_->synchronize();
    const auto before = Clock::now();
    steps_[i].run(values, pictures);
    device_->synchronize();
    seconds[i] += std::chrono::duration<double>(Clock::now() - before).count();
  };
  for (std::int64_t picture = 0; picture < batch; ++picture)
    for (std::size_t i = 0; i < first_together_; ++i) time_step(i, point_at(pixels, picture, 0), 1);
  for (std::size_t i = first_together_; i < steps_.size(); ++i)
    time_step(i, point_at(pixels, 0, 0), batch);
}

void Plan::check_batch(std::int64_t batch) const {
  if (batch < 1 || batch > capacity_)
    throw std::invalid_argument(
        fmt::format("Plan::run: batch {} of a plan for 1 to {}", batch, capacity_));
}

void Plan::run(const float* pixels, std::int64_t batch) {
  check_batch(batch);
  if (device_->on_host()) {
    run_pictures(pixels, batch);
    run_together(pixels, batch);
    return;
  }
  const auto lock = lock_of(*device_);
  device_->copy_in(exchange_.input.data(), pixels, bytes_of(batch * input_.count()));
  run_on_device(batch);
  for (std::size_t i = 0; i < outputs_.size(); ++i)
    device_->copy_out(exchange_.outputs[i].data(), stored_[stored_outputs_[i]].data(),
                      bytes_of(batch * output_shapes_[i].count()));
}

void Plan::run_on_device(std::int64_t batch) {
  const auto work = [&] { run_together(exchange_.input.data(), batch); };
  Queued& queued = exchange_.queued[batch];
  if (queued.ran && !queued.recorded) queued.recorded = device_->record(work);
  queued.ran = true;
  if (queued.recorded)
    queued.recorded->run();
  else
    work();
}

std::vector<Tensor> Plan::run_all(const Tensor& x) {
  if (x.shape().size() != 4 || ActivationShape{x.dim(1), x.dim(2), x.dim(3)} != input_)
    throw std::invalid_argument(fmt::format("Plan::run_all: {} for a plan of pictures {}",
                                            to_string(x.shape()), to_string(input_)));
  const bool there = !device_->on_host() && &x.device() == device_;
  if (!there && !x.device().on_host())
    throw std::invalid_argument("Plan::run_all: " + x.device().name() + " of a plan on " +
                                device_->name());
  const std::int64_t count = x.dim(0);
  std::vector<Tensor> results;
  for (const ActivationShape& out : output_shapes_)
    results.push_back(Tensor::empty({count, out.height, out.width, out.channels}, x.device()));
  for (std::int64_t begin = 0; begin < count; begin += capacity_) {
    const std::int64_t batch = std::min(capacity_, count - begin);
    const float* pixels = x.data() + begin * input_.count();
    if (there) {
      const auto lock = lock_of(*device_);
      device_->copy(exchange_.input.data(), pixels, bytes_of(batch * input_.count()));
      run_on_device(batch);
    } else {
      run(pixels, batch);
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      const std::int64_t size = output_shapes_[i].count();
      const float* made = there ? stored_[stored_outputs_[i]].data() : outputs_[i];
      x.device().copy(results[i].data() + begin * size, made, bytes_of(batch * size));
    }
  }
  return results;
}

void Plan::run_pictures(const float* pixels, std::int64_t batch) {
  if (batch == 1) return run_picture(pixels, 0, 0);
  // Each task has an arena of its own, whatever thread runs it and however many there are by now.
  std::atomic<std::int64_t> next{0};
  const auto workers = std::min(batch, static_cast<std::int64_t>(arenas_.size()));
  parallel_for(workers, [&](std::int64_t worker) {
    for (std::int64_t picture; (picture = next++) < batch;)
      run_picture(pixels, picture, static_cast<int>(worker));
  });
}

const float* Plan::output(int i) const { return outputs_.at(static_cast<std::size_t>(i)); }

const ActivationShape& Plan::output_shape(int i) const {
  return output_shapes_.at(static_cast<std::size_t>(i));
}

std::int64_t Plan::held_bytes() const {
  std::int64_t held = 0;
  for (const std::vector<Tensor>* tensors : {&arenas_, &stored_})
    for (const Tensor& tensor : *tensors) held += tensor.count();
  return held * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace maskwatch::nn
