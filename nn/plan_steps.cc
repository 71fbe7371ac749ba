#include "nn/plan_steps.h"

#include <fmt/format.h>

#include <cstddef>
#include <map>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>

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

// Deep networks have some hundreds.
constexpr std::size_t kMostSteps = 16384;

// Makes the steps, one for each node, and packs their weights.
class Builder {
 public:
  Builder(const Graph& graph, kernels::Device& device)
      : graph_(graph),
        device_(device),
        table_(device.table()),
        quantized_(device.quantized_table()) {
    if (graph.nodes().size() > kMostSteps + 1)
      throw std::runtime_error(fmt::format("the network has more than {} steps", kMostSteps));
    codes_ = values_of_codes();
    made_.values.push_back({graph.shape(graph.input())});
    for (int i = 1; i < std::ssize(graph.nodes()); ++i) add(i);
    for (int i = 0; i < std::ssize(graph.outputs()); ++i)
      made_.values[static_cast<std::size_t>(graph.outputs()[static_cast<std::size_t>(i)].index)]
          .output = i;
  }

  PlanSteps take() { return std::move(made_); }

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
      made_.values[static_cast<std::size_t>(input.index)].last_use = index - 1;
    }
    const bool in_int8 = runs_in_int8(node.operation);
    const std::string name =
        fmt::format("{}{} {} to {}", in_int8 ? "int8 " : "", name_of(node.operation),
                    to_string(place.in.front()), to_string(node.shape));
    PlanRun run =
        std::visit([&](const auto& operation) { return step(operation, place); }, node.operation);
    made_.steps.push_back(
        {std::move(run), {name, products, value_bytes(place), weight_bytes(node), in_int8}});
    made_.values.push_back({node.shape, index - 1, index - 1});
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
    made_.weights += floats;
    if (made_.weights > most_network_floats()) fail_for_memory(made_.weights);
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
    made_.weights += floats;
    if (made_.weights > most_network_floats()) fail_for_memory(made_.weights);
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

  PlanRun int8_step(const op::Pointwise& o, const Place& p) {
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

  PlanRun int8_step(const op::PointwiseAveragePool& o, const Place& p) {
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

  PlanRun int8_step(const op::InvertedResidual& o, const Place& p) {
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

  PlanRun step(const op::Input&, const Place&) { return {}; }

  PlanRun step(const op::Conv2d& o, const Place& p) {
    return [y = p.y, x = p.x[0], conv = o.conv, packed = packed_gemm(o.weights.weight),
            bias = placed(o.weights.bias), activation = o.activation,
            &table = table_](float* const* values, std::int64_t batch) {
      kernels::ConvShape s = conv;
      s.batch = batch;
      table.packed_conv2d(values[y], values[x], packed.data(), data_or_null(bias), activation, s);
    };
  }

  PlanRun step(const op::Depthwise3x3& o, const Place& p) {
    return [y = p.y, x = p.x[0], conv = o.conv, weight = placed(o.weights.weight),
            bias = placed(o.weights.bias), activation = o.activation,
            &table = table_](float* const* values, std::int64_t batch) {
      kernels::ConvShape s = conv;
      s.batch = batch;
      table.depthwise3x3(values[y], values[x], weight.data(), data_or_null(bias), activation, s);
    };
  }

  PlanRun step(const op::Pointwise& o, const Place& p) {
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

  PlanRun step(const op::PointwiseAveragePool& o, const Place& p) {
    if (runs_in_int8(o)) return int8_step(o, p);
    return [y = p.y, x = p.x[0], positions = p.in[0].height * p.in[0].width, in = p.in[0].channels,
            out = p.out.channels, packed = packed_gemm(o.weights.weight),
            bias = placed(o.weights.bias), activation = o.activation,
            &table = table_](float* const* values, std::int64_t batch) {
      table.pointwise_average_pool(values[y], values[x], packed.data(), data_or_null(bias),
                                   activation, positions, {batch * positions, out, in});
    };
  }

  PlanRun step(const op::InvertedResidual& o, const Place& p) {
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

  PlanRun step(const op::BatchNorm& o, const Place& p) {
    return [y = p.y, x = p.x[0], shape = p.out, gamma = placed(o.gamma), beta = placed(o.beta),
            mean = placed(o.mean), variance = placed(o.variance), epsilon = o.epsilon,
            activation = o.activation, &table = table_](float* const* values, std::int64_t batch) {
      table.batch_norm(values[y], values[x], mean.data(), variance.data(), gamma.data(),
                       beta.data(), epsilon, activation,
                       {batch * shape.height * shape.width, shape.channels});
    };
  }

  using Elementwise = void (*)(float* y, const float* x, std::int64_t count);

  PlanRun elementwise(Elementwise run, const Place& p) {
    return
        [=, y = p.y, x = p.x[0], count = p.out.count()](float* const* values, std::int64_t batch) {
          run(values[y], values[x], batch * count);
        };
  }

  PlanRun step(const op::Activate& o, const Place& p) {
    if (o.activation == kernels::Activation::none) return interleaved(p, 1);
    return elementwise(o.activation == kernels::Activation::relu ? table_.relu : table_.relu6, p);
  }

  PlanRun step(const op::Sigmoid&, const Place& p) { return elementwise(table_.sigmoid, p); }

  PlanRun step(const op::Add&, const Place& p) {
    return [y = p.y, a = p.x[0], b = p.x[1], count = p.out.count(), &table = table_](
               float* const* values, std::int64_t batch) {
      table.add(values[y], values[a], values[b], batch * count);
    };
  }

  PlanRun step(const op::GlobalAveragePool&, const Place& p) {
    return [y = p.y, x = p.x[0], in = p.in[0], &table = table_](float* const* values,
                                                                std::int64_t batch) {
      table.global_average_pool(values[y], values[x], {batch, in.height * in.width, in.channels});
    };
  }

  PlanRun step(const op::Softmax&, const Place& p) {
    return [y = p.y, x = p.x[0], in = p.in[0], &table = table_](float* const* values,
                                                                std::int64_t batch) {
      table.softmax(values[y], values[x], {batch * in.height * in.width, in.channels});
    };
  }

  PlanRun step(const op::Upsample2x&, const Place& p) {
    return [y = p.y, x = p.x[0], out = p.out, &table = table_](float* const* values,
                                                               std::int64_t batch) {
      table.upsample2x(values[y], values[x], {batch, out.height, out.width, out.channels});
    };
  }

  // The inputs side by side: `repeats` times one chunk of each, as long as its share of a picture.
  PlanRun interleaved(const Place& p, std::int64_t repeats) {
    std::vector<std::int64_t> chunks;
    for (const ActivationShape& part : p.in) chunks.push_back(part.count() / repeats);
    const std::int64_t row = std::reduce(chunks.begin(), chunks.end());
    return [=, y = p.y, x = p.x, &table = table_](float* const* values, std::int64_t batch) {
      float* to = values[y];
      for (std::size_t i = 0; i < x.size(); to += chunks[i++])
        table.copy_rows(to, row, values[x[i]], chunks[i], {batch * repeats, chunks[i]});
    };
  }

  PlanRun step(const op::ConcatChannels&, const Place& p) {
    return interleaved(p, p.out.height * p.out.width);
  }
  PlanRun step(const op::ConcatRows&, const Place& p) { return interleaved(p, 1); }
  PlanRun step(const op::Reshape&, const Place& p) { return interleaved(p, 1); }

  const Graph& graph_;  // keeps the weights: no other tensor takes their place in memory
  kernels::Device& device_;
  const kernels::Table<float>& table_;
  const kernels::QuantizedTable* quantized_;  // or null
  std::map<std::vector<const float*>, Tensor> packed_;
  std::map<int, kernels::Quantization> codes_;  // of values that are codes in memory
  double work_ = 0;                             // multiply-adds and additions for one picture
  PlanSteps made_;
};

}  // namespace

std::int64_t most_network_floats() {
  return (value_of(kMaxNetworkMemory) << 20) / static_cast<std::int64_t>(sizeof(float));
}

void fail_for_memory(std::int64_t floats) {
  throw std::runtime_error(fmt::format("the network takes {} MiB of memory, {}",
                                       (floats * static_cast<std::int64_t>(sizeof(float))) >> 20,
                                       over(kMaxNetworkMemory)));
}

PlanSteps plan_steps(const Graph& graph, kernels::Device& device) {
  return Builder(graph, device).take();
}

}  // namespace maskwatch::nn
