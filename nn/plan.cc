#include "nn/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "base/parallel.h"
#include "base/resource_limits.h"
#include "kernels/quantized.h"
#include "nn/integer_layer.h"

namespace maskwatch::nn {
namespace {

const float* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data() : nullptr;
}

kernels::InvertedResidualShape shape_of(const op::InvertedResidual& block,
                                        const ActivationShape& in) {
  const kernels::ConvShape &middle = block.depthwise_conv, &full = block.expand_conv;
  kernels::InvertedResidualShape s;
  s.in_height = in.height;
  s.in_width = in.width;
  s.in_channels = in.channels;
  s.expand = block.expand.weight.defined();
  s.expanded_channels = middle.in_channels;
  s.out_height = middle.out_height;
  s.out_width = middle.out_width;
  s.out_channels = block.project.weight.dim(-1);
  s.stride = middle.stride;
  s.pad_top = middle.pad_top;
  s.pad_left = middle.pad_left;
  s.residual = block.residual;
  s.activation = block.activation;
  s.out_activation = block.out_activation;
  if (!s.expand || block.expand.weight.shape().size() != 4) return s;
  s.expand_kernel = full.kernel_height;
  s.expand_stride = full.stride;
  s.expand_pad_top = full.pad_top;
  s.expand_pad_left = full.pad_left;
  s.full_height = full.out_height;
  s.full_width = full.out_width;
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

// Makes the steps of a plan, one for each node, and packs their weights.
class Plan::Builder {
 public:
  Builder(const Graph& graph, kernels::Device& device)
      : graph_(graph),
        device_(device),
        table_(device.table()),
        quantized_(device.quantized_table()) {
    if (graph.nodes().size() > kMostSteps + 1)
      throw std::runtime_error(fmt::format("the network has more than {} steps", kMostSteps));
    codes_ = values_of_codes();
    values.push_back({graph.shape(graph.input())});
    for (int i = 1; i < std::ssize(graph.nodes()); ++i) add(i);
    for (int i = 0; i < std::ssize(graph.outputs()); ++i)
      values[static_cast<std::size_t>(graph.outputs()[static_cast<std::size_t>(i)].index)].output =
          i;
  }

  std::vector<Stored> values;
  std::vector<Step> steps;
  std::int64_t weights = 0;  // floats of packed weights

 private:
  // Where a step finds its values, and the shape of each for one picture.
  struct Place {
    int y;
    std::vector<int> x;
    ActivationShape out;
    std::vector<ActivationShape> in;
  };

  void add(int index) {
    const Node& node = graph_.nodes()[static_cast<std::size_t>(index)];
    const double products = products_of(graph_, node);
    work_ += products + static_cast<double>(node.shape.count());
    if (work_ > static_cast<double>(value_of(kMaxNetworkWork)) * 1e9)
      throw std::runtime_error("the network takes work " + over(kMaxNetworkWork));
    Place place{index, {}, node.shape, {}};
    for (const Value input : node.inputs) {
      place.x.push_back(input.index);
      place.in.push_back(graph_.shape(input));
      values[static_cast<std::size_t>(input.index)].last_use = index - 1;
    }
    const std::string name =
        fmt::format("{}{} {} to {}", runs_in_int8(node.operation) ? "int8 " : "",
                    name_of(node.operation), to_string(place.in.front()), to_string(node.shape));
    Run run =
        std::visit([&](const auto& operation) { return step(operation, place); }, node.operation);
    steps.push_back({std::move(run), {name, products, value_bytes(place), weight_bytes(node)}});
    values.push_back({node.shape, index - 1, index - 1});
  }

  std::int64_t value_bytes(const Place& place) const {
    const auto bytes = [&](int value, const ActivationShape& shape) {
      const std::size_t each = codes_in(value) ? sizeof(std::uint8_t) : sizeof(float);
      return shape.count() * static_cast<std::int64_t>(each);
    };
    std::int64_t sum = bytes(place.y, place.out);
    for (std::size_t i = 0; i < place.in.size(); ++i) sum += bytes(place.x[i], place.in[i]);
    return sum;
  }

  std::int64_t weight_bytes(const Node& node) const {
    std::int64_t count = 0;
    const auto add = [&](const LayerWeights& weights) {
      for (const Tensor* tensor : {&weights.weight, &weights.bias})
        if (tensor->defined()) count += tensor->count();
    };
    std::visit(
        [&](const auto& o) {
          if constexpr (requires { o.weights; }) add(o.weights);
          if constexpr (requires { o.project; }) add(o.expand), add(o.depthwise), add(o.project);
        },
        node.operation);
    const std::size_t each = runs_in_int8(node.operation) ? sizeof(std::int8_t) : sizeof(float);
    return count * static_cast<std::int64_t>(each);
  }

  Tensor placed(const Tensor& tensor) const {
    return tensor.defined() ? tensor.detach().to(device_) : tensor;
  }

  // Memory for `floats` numbers of packed weights. Layers that have the very same weights, as a
  // small file may have them by the thousand, share what `write` puts there for the first.
  Tensor packed(const std::vector<Tensor>& tensors, std::int64_t floats,
                const std::function<void(float* packed)>& write) {
    std::vector<const float*> key;
    for (const Tensor& tensor : tensors) key.push_back(data_or_null(tensor));
    if (const auto found = packed_.find(key); found != packed_.end()) return found->second;
    weights += floats;
    if (weights > most_floats()) fail_for_memory(weights);
    const Tensor memory = Tensor::empty({floats}, device_);
    write(memory.data());
    return packed_[key] = memory;
  }

  // weight [in, out], or of that many numbers, as packed_gemm reads it.
  Tensor packed_gemm(const Tensor& weight) {
    const std::int64_t out = weight.dim(-1), in = weight.count() / out;
    return packed({weight}, kernels::packed_gemm_size(in, out), [&](float* to) {
      table_.pack_gemm(to, placed(weight).data(), {0, out, in});
    });
  }

  // A device without such operations runs the layer in float32.
  bool runs_in_int8(const Operation& operation) const {
    return quantized_ && has_int8_ranges(operation);
  }

  const op::InvertedResidual* int8_block(const Node& node) const {
    return runs_in_int8(node.operation) ? std::get_if<op::InvertedResidual>(&node.operation)
                                        : nullptr;
  }

  // Finds the values that are codes in memory: those which one block in int8 makes and another one
  // alone reads, but not to add them to its result. They are rounded there as they would be here,
  // and take a quarter of the memory's bandwidth.
  std::map<int, kernels::Quantization> values_of_codes() const {
    std::map<int, int> uses;
    for (const Node& node : graph_.nodes())
      for (const Value input : node.inputs) ++uses[input.index];
    for (const Value output : graph_.outputs()) ++uses[output.index];
    std::map<int, kernels::Quantization> found;
    for (const Node& node : graph_.nodes()) {
      const op::InvertedResidual* reader = int8_block(node);
      if (!reader || reader->residual || node.inputs.front().index == 0) continue;
      const int x = node.inputs.front().index;
      if (uses[x] == 1 && int8_block(graph_.nodes()[static_cast<std::size_t>(x)]))
        found[x] = codes_of(reader->ranges->input).quantization();
    }
    return found;
  }

  std::optional<kernels::Quantization> codes_in(int value) const {
    const auto found = codes_.find(value);
    return found == codes_.end() ? std::nullopt : std::optional(found->second);
  }

  // Bytes that `write` fills. Layers do not share them: they depend on ranges too.
  Tensor packed_bytes(std::int64_t bytes, const std::function<void(std::byte* packed)>& write) {
    const std::int64_t floats = (bytes + 3) / static_cast<std::int64_t>(sizeof(float));
    weights += floats;
    if (weights > most_floats()) fail_for_memory(weights);
    const Tensor memory = Tensor::empty({floats}, device_);
    write(reinterpret_cast<std::byte*>(memory.data()));
    return memory;
  }

  static const std::byte* bytes_in(const Tensor& tensor) {
    return reinterpret_cast<const std::byte*>(tensor.data());
  }

  Tensor packed_integers(const LayerWeights& weights, const ActivationCodes& input) {
    const std::int64_t out = weights.weight.dim(-1), in = weights.weight.count() / out;
    const IntegerLayer layer = integer_layer(on_host(weights), input);
    return packed_bytes(kernels::packed_quantized_pointwise_size(in, out), [&](std::byte* to) {
      quantized_->pack_quantized_pointwise(to, layer.view(), in, out);
    });
  }

  static LayerWeights on_host(const LayerWeights& weights) {
    return {weights.weight.cpu(), weights.bias.defined() ? weights.bias.cpu() : weights.bias};
  }

  Run int8_step(const op::Pointwise& o, const Place& p) {
    const ActivationCodes codes = codes_of(*o.input_range);
    return [y = p.y, x = p.x[0], residual = p.x.size() > 1 ? p.x[1] : -1,
            positions = p.out.height * p.out.width, in = p.in[0].channels, out = p.out.channels,
            packed = packed_integers(o.weights, codes), input = codes.quantization(),
            activation = o.activation,
            run = quantized_->quantized_pointwise](float* const* values, std::int64_t batch) {
      run(values[y], values[x], bytes_in(packed), input, residual >= 0 ? values[residual] : nullptr,
          activation, {batch * positions, out, in});
    };
  }

  Run int8_step(const op::PointwiseAveragePool& o, const Place& p) {
    const ActivationCodes codes = codes_of(*o.input_range);
    return [y = p.y, x = p.x[0], positions = p.in[0].height * p.in[0].width, in = p.in[0].channels,
            out = p.out.channels, packed = packed_integers(o.weights, codes),
            input = codes.quantization(), activation = o.activation,
            run = quantized_->quantized_pointwise_average_pool](float* const* values,
                                                                std::int64_t batch) {
      run(values[y], values[x], bytes_in(packed), input, activation, positions,
          {batch * positions, out, in});
    };
  }

  Run int8_step(const op::InvertedResidual& o, const Place& p) {
    const kernels::InvertedResidualShape shape = shape_of(o, p.in[0]);
    const ActivationCodes input = codes_of(o.ranges->input);
    const ActivationCodes filtered = codes_of({0, o.ranges->most_filtered});
    const ActivationCodes expanded = shape.expand ? codes_of({0, o.ranges->most_expanded}) : input;
    const IntegerLayer expand =
        shape.expand ? integer_layer(on_host(o.expand), input, &expanded) : IntegerLayer();
    const IntegerLayer depthwise = integer_layer(on_host(o.depthwise), expanded, &filtered);
    const IntegerLayer project = integer_layer(on_host(o.project), filtered);
    const Tensor packed =
        packed_bytes(kernels::packed_quantized_inverted_residual_size(shape), [&](std::byte* to) {
          quantized_->pack_quantized_inverted_residual(
              to, {expand.view(), depthwise.view(), project.view()}, shape);
        });
    return
        [y = p.y, x = p.x[0], shape, packed, input = input.quantization(), output = codes_in(p.y),
         reads_codes = codes_in(p.x[0]).has_value(),
         run = quantized_->quantized_inverted_residual](float* const* values, std::int64_t batch) {
          kernels::InvertedResidualShape s = shape;
          s.batch = batch;
          kernels::QuantizedInput from{values[x], nullptr, input};
          kernels::QuantizedOutput to{values[y], nullptr, {}};
          if (reads_codes) from.codes = reinterpret_cast<const std::uint8_t*>(values[x]);
          if (output) {
            to.codes = reinterpret_cast<std::uint8_t*>(values[y]);
            to.quantization = *output;
          }
          run(to, from, bytes_in(packed), s);
        };
  }

  Run step(const op::Input&, const Place&) { return {}; }

  Run step(const op::Conv2d& o, const Place& p) {
    return [y = p.y, x = p.x[0], conv = o.conv, packed = packed_gemm(o.weights.weight),
            bias = placed(o.weights.bias), activation = o.activation,
            &table = table_](float* const* values, std::int64_t batch) {
      kernels::ConvShape s = conv;
      s.batch = batch;
      table.packed_conv2d(values[y], values[x], packed.data(), data_or_null(bias), activation, s);
    };
  }

  Run step(const op::Depthwise3x3& o, const Place& p) {
    return [y = p.y, x = p.x[0], conv = o.conv, weight = placed(o.weights.weight),
            bias = placed(o.weights.bias), activation = o.activation,
            &table = table_](float* const* values, std::int64_t batch) {
      kernels::ConvShape s = conv;
      s.batch = batch;
      table.depthwise3x3(values[y], values[x], weight.data(), data_or_null(bias), activation, s);
    };
  }

  Run step(const op::Pointwise& o, const Place& p) {
    if (runs_in_int8(o)) return int8_step(o, p);
    return [y = p.y, x = p.x[0], residual = p.x.size() > 1 ? p.x[1] : -1,
            positions = p.out.height * p.out.width, in = p.in[0].channels, out = p.out.channels,
            packed = packed_gemm(o.weights.weight), bias = placed(o.weights.bias),
            activation = o.activation, &table = table_](float* const* values, std::int64_t batch) {
      table.packed_gemm(values[y], values[x], packed.data(), data_or_null(bias),
                        residual >= 0 ? values[residual] : nullptr, activation,
                        {batch * positions, out, in});
    };
  }

  Run step(const op::PointwiseAveragePool& o, const Place& p) {
    if (runs_in_int8(o)) return int8_step(o, p);
    return [y = p.y, x = p.x[0], positions = p.in[0].height * p.in[0].width, in = p.in[0].channels,
            out = p.out.channels, packed = packed_gemm(o.weights.weight),
            bias = placed(o.weights.bias), activation = o.activation,
            &table = table_](float* const* values, std::int64_t batch) {
      table.pointwise_average_pool(values[y], values[x], packed.data(), data_or_null(bias),
                                   activation, positions, {batch * positions, out, in});
    };
  }

  Run step(const op::InvertedResidual& o, const Place& p) {
    if (runs_in_int8(o)) return int8_step(o, p);
    const kernels::InvertedResidualShape shape = shape_of(o, p.in[0]);
    const Tensor weights_of_block = packed(
        {o.expand.weight, o.expand.bias, o.depthwise.weight, o.depthwise.bias, o.project.weight,
         o.project.bias},
        kernels::packed_inverted_residual_size(shape), [&](float* to) {
          const Tensor expand = placed(o.expand.weight), e = placed(o.expand.bias);
          const Tensor depthwise = placed(o.depthwise.weight), d = placed(o.depthwise.bias);
          const Tensor project = placed(o.project.weight), b = placed(o.project.bias);
          table_.pack_inverted_residual(to, data_or_null(expand), data_or_null(e), depthwise.data(),
                                        d.data(), project.data(), b.data(), shape);
        });
    return [y = p.y, x = p.x[0], shape, packed = weights_of_block, &table = table_](
               float* const* values, std::int64_t batch) {
      kernels::InvertedResidualShape s = shape;
      s.batch = batch;
      table.inverted_residual(values[y], values[x], packed.data(), s);
    };
  }

  Run step(const op::BatchNorm& o, const Place& p) {
    return [y = p.y, x = p.x[0], shape = p.out, gamma = placed(o.gamma), beta = placed(o.beta),
            mean = placed(o.mean), variance = placed(o.variance), epsilon = o.epsilon,
            activation = o.activation, &table = table_](float* const* values, std::int64_t batch) {
      table.batch_norm(values[y], values[x], mean.data(), variance.data(), gamma.data(),
                       beta.data(), epsilon, activation,
                       {batch * shape.height * shape.width, shape.channels});
    };
  }

  using Elementwise = void (*)(float* y, const float* x, std::int64_t count);

  Run elementwise(Elementwise run, const Place& p) {
    return
        [=, y = p.y, x = p.x[0], count = p.out.count()](float* const* values, std::int64_t batch) {
          run(values[y], values[x], batch * count);
        };
  }

  Run step(const op::Activate& o, const Place& p) {
    if (o.activation == kernels::Activation::none) return interleaved(p, 1);
    return elementwise(o.activation == kernels::Activation::relu ? table_.relu : table_.relu6, p);
  }

  Run step(const op::Sigmoid&, const Place& p) { return elementwise(table_.sigmoid, p); }

  Run step(const op::Add&, const Place& p) {
    return [y = p.y, a = p.x[0], b = p.x[1], count = p.out.count(), &table = table_](
               float* const* values, std::int64_t batch) {
      table.add(values[y], values[a], values[b], batch * count);
    };
  }

  Run step(const op::GlobalAveragePool&, const Place& p) {
    return [y = p.y, x = p.x[0], in = p.in[0], &table = table_](float* const* values,
                                                                std::int64_t batch) {
      table.global_average_pool(values[y], values[x], {batch, in.height * in.width, in.channels});
    };
  }

  Run step(const op::Softmax&, const Place& p) {
    return [y = p.y, x = p.x[0], in = p.in[0], &table = table_](float* const* values,
                                                                std::int64_t batch) {
      table.softmax(values[y], values[x], {batch * in.height * in.width, in.channels});
    };
  }

  Run step(const op::Upsample2x&, const Place& p) {
    return [y = p.y, x = p.x[0], out = p.out, &table = table_](float* const* values,
                                                               std::int64_t batch) {
      table.upsample2x(values[y], values[x], {batch, out.height, out.width, out.channels});
    };
  }

  // The inputs side by side: `repeats` times one chunk of each, as long as its share of a picture.
  Run interleaved(const Place& p, std::int64_t repeats) {
    std::vector<std::int64_t> chunks;
    for (const ActivationShape& part : p.in) chunks.push_back(part.count() / repeats);
    const std::int64_t row = std::reduce(chunks.begin(), chunks.end());
    return [=, y = p.y, x = p.x, &table = table_](float* const* values, std::int64_t batch) {
      float* to = values[y];
      for (std::size_t i = 0; i < x.size(); to += chunks[i++])
        table.copy_rows(to, row, values[x[i]], chunks[i], {batch * repeats, chunks[i]});
    };
  }

  Run step(const op::ConcatChannels&, const Place& p) {
    return interleaved(p, p.out.height * p.out.width);
  }
  Run step(const op::ConcatRows&, const Place& p) { return interleaved(p, 1); }
  Run step(const op::Reshape&, const Place& p) { return interleaved(p, 1); }

  const Graph& graph_;  // keeps the weights: no other tensor takes their place in memory
  kernels::Device& device_;
  const kernels::Table<float>& table_;
  const kernels::QuantizedTable* quantized_;  // or null
  std::map<std::vector<const float*>, Tensor> packed_;
  std::map<int, kernels::Quantization> codes_;  // of values that are codes in memory
  double work_ = 0;                             // multiply-adds and additions for one picture
};

Plan::Plan(const Graph& graph, std::int64_t capacity, kernels::Device& device)
    : device_(&device), input_(graph.shape(graph.input())), capacity_(capacity) {
  if (input_.count() <= 0 || capacity < 1)
    throw std::invalid_argument(
        fmt::format("Plan: input {} with capacity {}", to_string(input_), capacity));
  if (graph.outputs().empty()) throw std::invalid_argument("Plan: no output was marked");
  const auto lock = lock_of(device);
  Builder builder(graph, device);
  values_ = std::move(builder.values);
  steps_ = std::move(builder.steps);
  outputs_.resize(graph.outputs().size());
  stored_outputs_.resize(outputs_.size());
  output_shapes_.resize(outputs_.size());
  const std::int64_t stored = store_values(builder.weights);
  place_values();
  make_arenas(most_floats() - builder.weights - stored);
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
