#include "nn/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <numeric>
#include <stdexcept>

#include "base/parallel.h"
#include "base/resource_limits.h"

namespace maskwatch::nn {
namespace {

[[noreturn]] void reject(const char* operation, const std::string& what) {
  throw std::invalid_argument(fmt::format("PlanBuilder::{}: {}", operation, what));
}

std::string text_of(const PictureShape& s) {
  return fmt::format("[{}, {}, {}]", s.height, s.width, s.channels);
}

void require_weights(bool holds, const char* operation, const PictureShape& x,
                     const FoldedWeights& weights) {
  if (!holds) reject(operation, text_of(x) + " with weights " + to_string(weights.weight.shape()));
}

const float* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data() : nullptr;
}

// What the input and the weights say filled in; the caller gave stride, dilation, padding before
// and the size of the result.
kernels::ConvShape complete(kernels::ConvShape conv, const PictureShape& x,
                            std::int64_t out_channels, const char* operation) {
  if (conv.stride < 1 || conv.dilation < 1 || conv.pad_top < 0 || conv.pad_left < 0 ||
      conv.out_height < 1 || conv.out_width < 1)
    reject(operation,
           fmt::format("{} with stride {}, dilation {}, padding {} and {} to a result of {}x{}",
                       text_of(x), conv.stride, conv.dilation, conv.pad_top, conv.pad_left,
                       conv.out_height, conv.out_width));
  conv.in_height = x.height;
  conv.in_width = x.width;
  conv.in_channels = x.channels;
  conv.out_channels = out_channels;
  return conv;
}

// Multiply-adds for each input channel that an output sees.
double products_of(const kernels::ConvShape& s) {
  return static_cast<double>(s.out_height * s.out_width * s.out_channels) * s.kernel_height *
         s.kernel_width;
}

double products_of(const kernels::InvertedResidualShape& s) {
  const auto in = static_cast<double>(s.middle_height() * s.middle_width() * s.expand_steps());
  const auto out = static_cast<double>(s.out_height * s.out_width);
  return static_cast<double>(s.expanded_channels) *
         ((s.expand ? in : 0) + out * static_cast<double>(9 + s.out_channels));
}

kernels::InvertedResidualShape shape_of(const PlanBuilder::Block& block, const PictureShape& in) {
  kernels::InvertedResidualShape s;
  s.in_height = in.height;
  s.in_width = in.width;
  s.in_channels = in.channels;
  s.expand = block.expand.weight.defined();
  s.expanded_channels = s.expand ? block.expand.weight.dim(-1) : in.channels;
  s.out_height = block.depthwise_conv.out_height;
  s.out_width = block.depthwise_conv.out_width;
  s.out_channels = block.project.weight.dim(-1);
  s.stride = block.depthwise_conv.stride;
  s.pad_top = block.depthwise_conv.pad_top;
  s.pad_left = block.depthwise_conv.pad_left;
  s.residual = block.residual;
  s.activation = block.activation;
  s.out_activation = block.out_activation;
  if (!s.expand || block.expand.weight.shape().size() != 4) return s;
  s.expand_kernel = static_cast<int>(block.expand.weight.dim(0));
  s.expand_stride = block.expand_conv.stride;
  s.expand_pad_top = block.expand_conv.pad_top;
  s.expand_pad_left = block.expand_conv.pad_left;
  s.full_height = block.expand_conv.out_height;
  s.full_width = block.expand_conv.out_width;
  return s;
}

// Of a plan. Deep networks have some hundreds.
constexpr std::size_t kMostSteps = 16384;

std::int64_t most_floats() {
  return (value_of(kMaxNetworkMemory) << 20) / static_cast<std::int64_t>(sizeof(float));
}

[[noreturn]] void fail_for_memory(std::int64_t floats) {
  throw std::runtime_error(fmt::format("the network takes {} MiB of memory, {}",
                                       (floats * static_cast<std::int64_t>(sizeof(float))) >> 20,
                                       over(kMaxNetworkMemory)));
}

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

PlanBuilder::PlanBuilder(PictureShape input, kernels::Device& device) : device_(device) {
  values_.push_back({input, 0, 0, -1});
}

FoldedWeights PlanBuilder::placed(const FoldedWeights& weights) const {
  const auto place = [&](const Tensor& tensor) {
    return tensor.defined() ? tensor.to(device_) : tensor;
  };
  return {place(weights.weight), place(weights.bias)};
}

const PictureShape& PlanBuilder::shape(Value value) const {
  if (value.index < 0 || value.index >= static_cast<int>(values_.size()))
    reject("shape", "no such value");
  return values_[static_cast<std::size_t>(value.index)].shape;
}

Tensor PlanBuilder::packed(const std::vector<Tensor>& weights, std::int64_t floats,
                           const std::function<void(float* packed)>& write) {
  // Weights that nobody else holds, as those with a batch norm folded in, do not come again.
  const bool may_come_again =
      std::none_of(weights.begin(), weights.end(),
                   [](const Tensor& tensor) { return tensor.defined() && tensor.sole_owner(); });
  std::vector<const float*> key;
  for (const Tensor& tensor : weights) key.push_back(data_or_null(tensor));
  if (const auto found = packed_.find(key); may_come_again && found != packed_.end())
    return found->second.packed;
  weights_ += floats;
  if (weights_ > most_floats()) fail_for_memory(weights_);
  const Tensor packed = Tensor::empty({floats}, device_);
  write(packed.data());
  if (may_come_again) packed_[key] = {weights, packed};
  return packed;
}

Tensor PlanBuilder::packed_gemm(const Tensor& weight, std::int64_t in, std::int64_t out) {
  return packed({weight}, kernels::packed_gemm_size(in, out), [&](float* to) {
    device_.table().pack_gemm(to, weight.to(device_).data(), {0, out, in});
  });
}

Value PlanBuilder::define(const std::string& operation, double products, PictureShape shape,
                          std::vector<Value> inputs, Run run) {
  if (steps_.size() >= kMostSteps)
    throw std::runtime_error(fmt::format("the network has more than {} steps", kMostSteps));
  work_ += products + static_cast<double>(shape.count());
  if (work_ > static_cast<double>(value_of(kMaxNetworkWork)) * 1e9)
    throw std::runtime_error("the network takes work " + over(kMaxNetworkWork));
  const int index = static_cast<int>(steps_.size());
  for (const Value input : inputs) values_[static_cast<std::size_t>(input.index)].last_use = index;
  const std::string from =
      inputs.empty() ? "" : text_of(values_[static_cast<std::size_t>(inputs.front().index)].shape);
  steps_.push_back(
      {std::move(run), {fmt::format("{} {} to {}", operation, from, text_of(shape)), products}});
  values_.push_back({shape, index, index, -1});
  return {static_cast<int>(values_.size()) - 1};
}

Value PlanBuilder::conv2d(Value x, const FoldedWeights& weights, kernels::ConvShape conv,
                          kernels::Activation activation) {
  const PictureShape in = shape(x);
  const Shape& w = weights.weight.shape();
  require_weights(w.size() == 4 && w[2] == in.channels, "conv2d", in, weights);
  conv = complete(conv, in, w[3], "conv2d");
  conv.kernel_height = static_cast<int>(w[0]);
  conv.kernel_width = static_cast<int>(w[1]);
  const Tensor packed = packed_gemm(weights.weight, w[0] * w[1] * w[2], w[3]);
  const int y = static_cast<int>(values_.size());
  return define("conv2d", products_of(conv) * static_cast<double>(conv.in_channels),
                {conv.out_height, conv.out_width, conv.out_channels}, {x},
                [=, bias = placed({.weight = {}, .bias = weights.bias}).bias,
                 &table = device_.table()](float* const* values, std::int64_t batch) {
                  kernels::ConvShape s = conv;
                  s.batch = batch;
                  table.packed_conv2d(values[y], values[x.index], packed.data(), data_or_null(bias),
                                      activation, s);
                });
}

Value PlanBuilder::depthwise3x3(Value x, const FoldedWeights& weights, kernels::ConvShape conv,
                                kernels::Activation activation) {
  const PictureShape in = shape(x);
  require_weights(weights.weight.shape() == Shape{3, 3, in.channels}, "depthwise3x3", in, weights);
  conv = complete(conv, in, in.channels, "depthwise3x3");
  const FoldedWeights on_device = placed(weights);
  const int y = static_cast<int>(values_.size());
  return define("depthwise3x3", products_of(conv),
                {conv.out_height, conv.out_width, conv.out_channels}, {x},
                [=, &table = device_.table()](float* const* values, std::int64_t batch) {
                  kernels::ConvShape s = conv;
                  s.batch = batch;
                  table.depthwise3x3(values[y], values[x.index], on_device.weight.data(),
                                     data_or_null(on_device.bias), activation, s);
                });
}

Value PlanBuilder::pointwise(Value x, const FoldedWeights& weights, kernels::Activation activation,
                             Value residual) {
  const PictureShape in = shape(x);
  const Shape& w = weights.weight.shape();
  require_weights(w.size() == 2 && w[0] == in.channels, "pointwise", in, weights);
  const PictureShape out{in.height, in.width, w[1]};
  if (residual.index >= 0 && shape(residual) != out)
    reject("pointwise", "residual " + text_of(shape(residual)) + " of a result " + text_of(out));
  const kernels::Table<float>& table = device_.table();
  const Tensor packed = packed_gemm(weights.weight, w[0], w[1]);
  const int y = static_cast<int>(values_.size());
  std::vector<Value> inputs{x};
  if (residual.index >= 0) inputs.push_back(residual);
  return define("pointwise", static_cast<double>(out.count() * in.channels), out, inputs,
                [=, bias = placed({.weight = {}, .bias = weights.bias}).bias, &table](
                    float* const* values, std::int64_t batch) {
                  table.packed_gemm(values[y], values[x.index], packed.data(), data_or_null(bias),
                                    residual.index >= 0 ? values[residual.index] : nullptr,
                                    activation,
                                    {batch * in.height * in.width, out.channels, in.channels});
                });
}

Value PlanBuilder::inverted_residual(Value x, const Block& block) {
  const PictureShape in = shape(x);
  const FoldedWeights &expand = block.expand, &depthwise = block.depthwise,
                      &project = block.project;
  const kernels::InvertedResidualShape s = shape_of(block, in);
  const PictureShape out{s.out_height, s.out_width, s.out_channels};
  const std::int64_t k = s.expand_kernel, expanded = s.expanded_channels;
  if (s.expand)
    require_weights(expand.weight.shape() ==
                        (k > 1 ? Shape{k, k, in.channels, expanded} : Shape{in.channels, expanded}),
                    "inverted_residual", in, expand);
  require_weights(depthwise.weight.shape() == Shape{3, 3, expanded}, "inverted_residual", in,
                  depthwise);
  require_weights(project.weight.shape() == Shape{expanded, s.out_channels}, "inverted_residual",
                  in, project);
  if (block.residual && in != out)
    reject("inverted_residual", "residual " + text_of(in) + " of a result " + text_of(out));
  const kernels::Table<float>& table = device_.table();
  const Tensor packed = this->packed(
      {expand.weight, expand.bias, depthwise.weight, depthwise.bias, project.weight, project.bias},
      kernels::packed_inverted_residual_size(s), [&](float* to) {
        const FoldedWeights e = placed(expand), d = placed(depthwise), p = placed(project);
        table.pack_inverted_residual(to, data_or_null(e.weight), data_or_null(e.bias),
                                     d.weight.data(), d.bias.data(), p.weight.data(), p.bias.data(),
                                     s);
      });
  const int y = static_cast<int>(values_.size());
  return define("inverted_residual", products_of(s), out, {x},
                [=, &table](float* const* values, std::int64_t batch) {
                  kernels::InvertedResidualShape run = s;
                  run.batch = batch;
                  table.inverted_residual(values[y], values[x.index], packed.data(), run);
                });
}

Value PlanBuilder::pointwise_average_pool(Value x, const FoldedWeights& weights,
                                          kernels::Activation activation) {
  const PictureShape in = shape(x);
  const Shape& w = weights.weight.shape();
  require_weights(w.size() == 2 && w[0] == in.channels, "pointwise_average_pool", in, weights);
  const kernels::Table<float>& table = device_.table();
  const Tensor packed = packed_gemm(weights.weight, w[0], w[1]);
  const int y = static_cast<int>(values_.size());
  const std::int64_t positions = in.height * in.width, out = w[1];
  return define("pointwise_average_pool", static_cast<double>(positions * out * in.channels),
                {1, 1, out}, {x},
                [=, bias = placed({.weight = {}, .bias = weights.bias}).bias, &table](
                    float* const* values, std::int64_t batch) {
                  table.pointwise_average_pool(values[y], values[x.index], packed.data(),
                                               data_or_null(bias), activation, positions,
                                               {batch * positions, out, in.channels});
                });
}

Value PlanBuilder::global_average_pool(Value x) {
  const PictureShape in = shape(x);
  const int y = static_cast<int>(values_.size());
  return define("global_average_pool", 0, {1, 1, in.channels}, {x},
                [=, &table = device_.table()](float* const* values, std::int64_t batch) {
                  table.global_average_pool(values[y], values[x.index],
                                            {batch, in.height * in.width, in.channels});
                });
}

Value PlanBuilder::add(Value a, Value b) {
  if (shape(a) != shape(b)) reject("add", text_of(shape(a)) + " and " + text_of(shape(b)));
  const int y = static_cast<int>(values_.size());
  const std::int64_t count = shape(a).count();
  return define("add", 0, shape(a), {a, b},
                [=, &table = device_.table()](float* const* values, std::int64_t batch) {
                  table.add(values[y], values[a.index], values[b.index], batch * count);
                });
}

Value PlanBuilder::activation(Value x, kernels::Activation activation) {
  if (activation == kernels::Activation::none) return x;
  const int y = static_cast<int>(values_.size());
  const std::int64_t count = shape(x).count();
  const auto& table = device_.table();
  const auto run = activation == kernels::Activation::relu ? table.relu : table.relu6;
  return define("activation", 0, shape(x), {x}, [=](float* const* values, std::int64_t batch) {
    run(values[y], values[x.index], batch * count);
  });
}

Value PlanBuilder::softmax(Value x) {
  const PictureShape in = shape(x);
  const int y = static_cast<int>(values_.size());
  return define(
      "softmax", 0, in, {x},
      [=, &table = device_.table()](float* const* values, std::int64_t batch) {
        table.softmax(values[y], values[x.index], {batch * in.height * in.width, in.channels});
      });
}

Value PlanBuilder::sigmoid(Value x) {
  const int y = static_cast<int>(values_.size());
  const std::int64_t count = shape(x).count();
  return define("sigmoid", 0, shape(x), {x},
                [=, &table = device_.table()](float* const* values, std::int64_t batch) {
                  table.sigmoid(values[y], values[x.index], batch * count);
                });
}

Value PlanBuilder::interleave(PictureShape out, const std::vector<Value>& parts,
                              std::int64_t repeats) {
  std::vector<std::int64_t> chunks;
  for (const Value part : parts) chunks.push_back(shape(part).count() / repeats);
  const int y = static_cast<int>(values_.size());
  const std::int64_t row = std::reduce(chunks.begin(), chunks.end());
  return define(
      "interleave", 0, out, parts,
      [=, &table = device_.table()](float* const* values, std::int64_t batch) {
        float* to = values[y];
        for (std::size_t i = 0; i < parts.size(); to += chunks[i++])
          table.copy_rows(to, row, values[parts[i].index], chunks[i], {batch * repeats, chunks[i]});
      });
}

Value PlanBuilder::concat_channels(const std::vector<Value>& parts) {
  if (parts.empty()) reject("concat_channels", "nothing to join");
  PictureShape out = shape(parts.front());
  out.channels = 0;
  for (const Value part : parts) {
    const PictureShape& in = shape(part);
    if (in.height != out.height || in.width != out.width)
      reject("concat_channels", text_of(shape(parts.front())) + " and " + text_of(in));
    out.channels += in.channels;
  }
  return interleave(out, parts, out.height * out.width);
}

Value PlanBuilder::concat_rows(const std::vector<Value>& parts) {
  if (parts.empty()) reject("concat_rows", "nothing to join");
  PictureShape out = shape(parts.front());
  out.height = 0;
  for (const Value part : parts) {
    const PictureShape& in = shape(part);
    if (in.width != out.width || in.channels != out.channels)
      reject("concat_rows", text_of(shape(parts.front())) + " and " + text_of(in));
    out.height += in.height;
  }
  return interleave(out, parts, 1);
}

Value PlanBuilder::upsample2x(Value x, std::int64_t height, std::int64_t width) {
  const PictureShape in = shape(x), out{height, width, in.channels};
  if ((height + 1) / 2 != in.height || (width + 1) / 2 != in.width)
    reject("upsample2x", text_of(in) + " to " + text_of(out));
  const int y = static_cast<int>(values_.size());
  return define(
      "upsample2x", 0, out, {x},
      [=, &table = device_.table()](float* const* values, std::int64_t batch) {
        table.upsample2x(values[y], values[x.index], {batch, out.height, out.width, out.channels});
      });
}

Value PlanBuilder::reshape(Value x, PictureShape out) {
  if (out.count() != shape(x).count()) reject("reshape", text_of(shape(x)) + " as " + text_of(out));
  return interleave(out, {x}, 1);
}

void PlanBuilder::output(Value value) {
  shape(value);
  if (value.index == 0) reject("output", "the input itself is not an output");
  Definition& definition = values_[static_cast<std::size_t>(value.index)];
  if (definition.output >= 0) reject("output", "marked twice");
  definition.output = outputs_++;
}

Plan::Plan(PictureShape input, std::int64_t capacity,
           const std::function<void(PlanBuilder&)>& build, kernels::Device& device)
    : device_(&device), input_(input), capacity_(capacity) {
  if (input.count() <= 0 || capacity < 1)
    throw std::invalid_argument(
        fmt::format("Plan: input {} with capacity {}", text_of(input), capacity));
  const auto lock = lock_of(device);
  PlanBuilder builder(input, device);
  build(builder);
  if (builder.outputs_ == 0) throw std::invalid_argument("Plan: no output was marked");
  values_ = std::move(builder.values_);
  steps_ = std::move(builder.steps_);
  outputs_.resize(static_cast<std::size_t>(builder.outputs_));
  stored_outputs_.resize(outputs_.size());
  output_shapes_.resize(outputs_.size());
  const std::int64_t stored = store_values(builder.weights_);
  place_values();
  make_arenas(most_floats() - builder.weights_ - stored);
  if (!device.on_host()) make_exchange();
}

// On the CPU pictures share the memory that is left; one must have room. Elsewhere all lie in one
// arena, each value with those of its kind.
void Plan::make_arenas(std::int64_t room) {
  const std::int64_t together = device_->on_host() ? 1 : capacity_;
  if (arena_count_ > room / together)
    fail_for_memory(most_floats() - room + arena_count_ * together);
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
  const auto is_vector = [](const PictureShape& shape) {
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
    if (weights + floats > most_floats()) fail_for_memory(weights + floats);
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

void Plan::run_timed(const float* pixels, std::vector<double>& seconds) {
  using Clock = std::chrono::steady_clock;
  if (seconds.size() != steps_.size())
    throw std::invalid_argument(
        fmt::format("Plan::run_timed: {} numbers for {} steps", seconds.size(), steps_.size()));
  if (!device_->on_host()) {
    device_->copy_in(exchange_.input.data(), pixels, bytes_of(input_.count()));
    pixels = exchange_.input.data();
  }
  float* const* values = point_at(pixels, 0, 0);
  device_->synchronize();
  auto before = Clock::now();
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    steps_[i].run(values, 1);
    device_->synchronize();
    const auto after = Clock::now();
    seconds[i] += std::chrono::duration<double>(after - before).count();
    before = after;
  }
}

void Plan::run(const float* pixels, std::int64_t batch) {
  if (batch < 1 || batch > capacity_)
    throw std::invalid_argument(
        fmt::format("Plan::run: batch {} of a plan for 1 to {}", batch, capacity_));
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
  if (x.shape().size() != 4 || PictureShape{x.dim(1), x.dim(2), x.dim(3)} != input_)
    throw std::invalid_argument(fmt::format("Plan::run_all: {} for a plan of pictures {}",
                                            to_string(x.shape()), text_of(input_)));
  const bool there = !device_->on_host() && &x.device() == device_;
  if (!there && !x.device().on_host())
    throw std::invalid_argument("Plan::run_all: " + x.device().name() + " of a plan on " +
                                device_->name());
  const std::int64_t count = x.dim(0);
  std::vector<Tensor> results;
  for (const PictureShape& out : output_shapes_)
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

const PictureShape& Plan::output_shape(int i) const {
  return output_shapes_.at(static_cast<std::size_t>(i));
}

std::int64_t Plan::held_bytes() const {
  std::int64_t held = 0;
  for (const std::vector<Tensor>* tensors : {&arenas_, &stored_})
    for (const Tensor& tensor : *tensors) held += tensor.count();
  return held * static_cast<std::int64_t>(sizeof(float));
}

FoldedWeights fold_batch_norm(const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                              const Tensor& mean, const Tensor& variance, double epsilon) {
  const std::int64_t channels = weight.dim(-1);
  FoldedWeights folded{weight.cpu().clone(), Tensor::empty({channels})};
  const Tensor scale = gamma.cpu(), shift = beta.cpu(), center = mean.cpu(),
               spread = variance.cpu();
  std::vector<double> factors(static_cast<std::size_t>(channels));
  for (std::int64_t c = 0; c < channels; ++c) {
    const double factor = scale.data()[c] / std::sqrt(spread.data()[c] + epsilon);
    factors[static_cast<std::size_t>(c)] = factor;
    folded.bias.data()[c] = static_cast<float>(shift.data()[c] - center.data()[c] * factor);
  }
  float* w = folded.weight.data();
  for (std::int64_t i = 0; i < folded.weight.count(); ++i)
    w[i] = static_cast<float>(w[i] * factors[static_cast<std::size_t>(i % channels)]);
  return folded;
}

}  // namespace maskwatch::nn
