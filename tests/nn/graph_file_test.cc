#include "nn/graph_file.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "nn/memory.h"

using namespace maskwatch;

namespace {

using nlohmann::json;
using nn::ActivationShape;
using nn::Tensor;

constexpr ActivationShape kInput{4, 6, 2};

json layer(const std::string& op, const std::vector<std::string>& inputs,
           const std::string& output) {
  return {{"op", op}, {"inputs", inputs}, {"output", output}};
}

json weighted(const std::string& op, const std::string& input, const std::string& output,
              const std::string& weight) {
  json entry = layer(op, {input}, output);
  entry["weight"] = weight + ".weight";
  entry["bias"] = weight + ".bias";
  entry["activation"] = "none";
  return entry;
}

json window(json entry, int stride, int dilation, const std::vector<int>& pad) {
  entry["stride"] = stride;
  entry["dilation"] = dilation;
  entry["pad"] = pad;
  return entry;
}

Tensor counted(const nn::Shape& shape, float step) {
  const Tensor tensor = Tensor::empty(shape);
  for (std::int64_t i = 0; i < tensor.count(); ++i)
    tensor.data()[i] = step * static_cast<float>(i % 7 - 3);
  return tensor;
}

nn::Safetensors file_of(const json& layers) {
  nn::Safetensors contents;
  contents.metadata["graph"] = layers.dump();
  const auto add = [&](const std::string& name, const nn::Shape& shape) {
    contents.tensors[name + ".weight"] = counted(shape, 0.5f);
    contents.tensors[name + ".bias"] = counted({shape.back()}, 1);
  };
  add("full", {3, 3, 2, 5});
  add("thin", {3, 3, 2});
  add("point", {2, 3});
  return contents;
}

std::vector<float> run(const json& layers, const std::string& output, ActivationShape& shape) {
  nn::Plan plan = nn::compile_graph(file_of(layers), "net.safetensors", kInput, {output});
  const Tensor input = counted({4, 6, 2}, 0.25f);
  plan.run(input.data(), 1);
  shape = plan.output_shape();
  return {plan.output(), plan.output() + shape.count()};
}

std::string fault_of(const nn::Safetensors& contents, const std::string& output = "y") {
  try {
    nn::compile_graph(contents, "net.safetensors", kInput, {output});
  } catch (const std::runtime_error& fault) {
    return fault.what();
  }
  return "nothing was thrown";
}

void check_fault(const json& layers, const std::string& part) {
  const std::string fault = fault_of(file_of(layers));
  INFO(fault);
  CHECK(fault.starts_with("net.safetensors: "));
  CHECK(fault.find(part) != std::string::npos);
}

// y of a dilated, padded, strided convolution at one position, by the definition.
float convolved(const Tensor& x, const Tensor& w, float bias, int row, int column, int stride,
                int dilation, int pad_top, int pad_left, int out) {
  float sum = bias;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      for (int c = 0; c < 2; ++c) {
        const int y = row * stride + i * dilation - pad_top;
        const int z = column * stride + j * dilation - pad_left;
        if (y < 0 || y >= 4 || z < 0 || z >= 6) continue;
        sum += x.data()[(y * 6 + z) * 2 + c] * w.data()[((i * 3 + j) * 2 + c) * 5 + out];
      }
  return sum;
}

}  // namespace

TEST_CASE("a graph's convolution has the stride, dilation and padding that it states") {
  struct {
    int stride, dilation;
    std::vector<int> pad;
    int height, width;
  } const forms[] = {{1, 1, {1, 1, 1, 1}, 4, 6},
                     {2, 1, {0, 0, 1, 1}, 2, 3},
                     {1, 2, {2, 2, 2, 2}, 4, 6},
                     {1, 3, {3, 3, 3, 3}, 4, 6},
                     {1, 1, {0, 0, 0, 0}, 2, 4}};
  const nn::Safetensors contents = file_of({});
  const Tensor x = counted({4, 6, 2}, 0.25f);
  for (const auto& form : forms) {
    ActivationShape shape;
    const auto values = run(json::array({window(weighted("conv2d", "input", "y", "full"),
                                                form.stride, form.dilation, form.pad)}),
                            "y", shape);
    REQUIRE(shape == ActivationShape{form.height, form.width, 5});
    for (int i = 0; i < shape.count(); ++i) {
      const int out = i % 5, column = i / 5 % form.width, row = i / 5 / form.width;
      CHECK(values[static_cast<std::size_t>(i)] ==
            doctest::Approx(convolved(x, contents.tensors.at("full.weight"),
                                      contents.tensors.at("full.bias").data()[out], row, column,
                                      form.stride, form.dilation, form.pad[0], form.pad[1], out)));
    }
  }
}

TEST_CASE("a graph joins, adds and reshapes in the order of its inputs") {
  json joined = layer("concat", {"a", "input"}, "c");
  joined["axis"] = 3;
  json reshaped = layer("reshape", {"c"}, "r");
  reshaped["shape"] = {-1, 5};
  json twice = layer("concat", {"r", "r"}, "y");
  twice["axis"] = 1;
  json layers =
      json::array({weighted("pointwise", "input", "a", "point"), joined, reshaped, twice});
  ActivationShape shape, point_shape;
  const auto values = run(layers, "y", shape);
  REQUIRE(shape == ActivationShape{48, 1, 5});
  const auto point = run(layers, "a", point_shape);
  const Tensor x = counted({4, 6, 2}, 0.25f);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t position = i / 5 % 24, channel = i % 5;
    CHECK(values[i] ==
          (channel < 3 ? point[position * 3 + channel] : x.data()[position * 2 + channel - 3]));
  }

  json sum = layer("add", {"input", "input", "input"}, "y");
  sum["activation"] = "relu";
  const auto summed = run(json::array({sum}), "y", shape);
  for (std::size_t i = 0; i < summed.size(); ++i)
    CHECK(summed[i] == std::max(0.0f, 3 * x.data()[i]));

  const auto sigmoid = run(json::array({layer("sigmoid", {"input"}, "y")}), "y", shape);
  for (std::size_t i = 0; i < sigmoid.size(); ++i)
    CHECK(sigmoid[i] == doctest::Approx(1 / (1 + std::exp(-x.data()[i]))));
}

TEST_CASE("a graph that does not fit is an error that names file, layer and fault") {
  const json good = window(weighted("conv2d", "input", "y", "full"), 1, 1, {1, 1, 1, 1});
  CHECK(fault_of(file_of(json::array({good}))) == "nothing was thrown");
  const auto changed = [&](const char* key, const json& value) {
    json entry = good;
    entry[key] = value;
    return json::array({entry});
  };
  check_fault(json::object(), "metadata \"graph\": layers is not a list");
  check_fault(json::array(), "layers is not a list of 1 to");
  check_fault(json::array({1}), "metadata \"graph\": layers[0] is not an object");
  check_fault(changed("op", "max_pool"), "layer y: the operation max_pool is unknown");
  check_fault(changed("op", 1), "layers[0].op is not a string");
  check_fault(changed("inputs", {"y"}), "no earlier layer makes its input y");
  check_fault(changed("inputs", {"input", "input"}), "takes one input");
  check_fault(changed("inputs", json::array()), "layers[0].inputs must list 1 to ");
  check_fault(changed("weight", "lost"), "the tensor lost is missing");
  check_fault(changed("bias", "full.weight"), "do not fit");
  check_fault(changed("weight", "thin.weight"), "do not fit");
  check_fault(changed("activation", "gelu"), "the activation gelu is unknown");
  check_fault(changed("stride", 0), "layers[0].stride is not a whole number from 1 to 64");
  check_fault(changed("stride", 1e30), "stride is not a whole number");
  check_fault(changed("stride", 18446744073709551615u), "stride is not a whole number");
  check_fault(changed("dilation", 9), "does not fit a side of 4");
  check_fault(changed("pad", {0, 0, 0}), "layers[0].pad is not a list of 4");
  check_fault(changed("pad", {0, 0, 3, 0}), "does not fit a side of 4");
  check_fault(changed("output", "input"), "an earlier layer has the same output");
  check_fault(json::array({layer("softmax", {"input"}, "x")}), "no layer makes the output y");
  check_fault(json::array({layer("add", {"input"}, "y")}), "the input itself is not an output");
  json rows = layer("reshape", {"input"}, "y");
  for (const json& shape :
       {json{-1, 7}, json{-1, 0}, json{-1, -1}, json{3, 15}, json{2, 2, 2}, json("x")}) {
    rows["shape"] = shape;
    check_fault(json::array({rows}),
                shape.is_array() && shape.size() == 2 ? "layer y: " : "shape is not a list");
  }
}

TEST_CASE("a graph that grows without end is an error before it takes memory") {
  json layers = json::array();
  std::string last = "input";
  for (int i = 0; i < 60; ++i) {
    json doubled = layer("concat", {last, last}, fmt::format("y{}", i));
    doubled["axis"] = 3;
    layers.push_back(doubled);
    last = doubled["output"];
  }
  const std::string fault = fault_of(file_of(layers), last);
  INFO(fault);
  CHECK(fault.find("memory") != std::string::npos);
}

TEST_CASE("layers that share their weights share the packed ones") {
  constexpr int side = 256;
  nn::Safetensors contents;
  contents.tensors["w.weight"] = counted({2, side}, 0.5f);
  contents.tensors["w.bias"] = counted({side}, 1);
  contents.tensors["p.weight"] = counted({side, 2}, 0.5f);
  contents.tensors["p.bias"] = counted({2}, 1);
  contents.tensors["d.weight"] = counted({3, 3, side}, 0.5f);
  contents.tensors["d.bias"] = counted({side}, 1);
  const auto held = [&](int repeats) {
    json layers = json::array();
    std::string last = "input";
    for (int i = 0; i < repeats; ++i) {
      const auto name = [&](const char* part) { return fmt::format("{}{}", part, i); };
      layers.push_back(weighted("pointwise", last, name("a"), "w"));
      layers.push_back(
          window(weighted("depthwise", name("a"), name("b"), "d"), 1, 1, {1, 1, 1, 1}));
      layers.push_back(weighted("pointwise", name("b"), name("c"), "p"));
      last = name("c");
    }
    contents.metadata["graph"] = layers.dump();
    const std::size_t before = nn::memory_use().live;
    const nn::Plan plan = nn::compile_graph(contents, "net.safetensors", kInput, {last});
    return nn::memory_use().live - before;
  };
  CHECK(held(300) == held(3));
}

TEST_CASE("a sum of terms without end is refused before it costs time") {
  const std::vector<std::string> many(3000, "input");
  json layers = json::array();
  for (int i = 0; i < 5; ++i) layers.push_back(layer("add", many, fmt::format("y{}", i)));
  ActivationShape shape;
  CHECK(run(json::array({layers[0]}), "y0", shape).size() == 48);
  CHECK(fault_of(file_of(layers), "y4") == "nothing was thrown");
  layers.push_back(layer("add", many, "y5"));
  CHECK(fault_of(file_of(layers), "y5") ==
        "net.safetensors: metadata \"graph\": layers have more than 16384 inputs");
}

TEST_CASE("a network over the limits for memory and work is refused, and the limits are named") {
  // 96 MiB between the layers.
  nn::Safetensors contents = file_of(json::array());
  contents.tensors["wide.weight"] = counted({2, 1 << 20}, 0.5f);
  contents.tensors["wide.bias"] = counted({1 << 20}, 1);
  contents.metadata["graph"] = json::array({weighted("pointwise", "input", "y", "wide")}).dump();
  CHECK(fault_of(contents) == "nothing was thrown");
  setenv("MASKWATCH_MAX_NETWORK_MB", "60", 1);
  const std::string fault = fault_of(contents);
  unsetenv("MASKWATCH_MAX_NETWORK_MB");
  INFO(fault);
  CHECK(fault.starts_with("net.safetensors: the network takes "));
  CHECK(fault.ends_with("over the limit of 60 MiB (MASKWATCH_MAX_NETWORK_MB sets it)"));
  // 25 million products in each layer of 24 places.
  contents.tensors["first.weight"] = counted({2, 1024}, 0.5f);
  contents.tensors["first.bias"] = counted({1024}, 1);
  contents.tensors["square.weight"] = counted({1024, 1024}, 0.5f);
  contents.tensors["square.bias"] = counted({1024}, 1);
  const auto deep = [&](int layers) {
    json list = json::array({weighted("pointwise", "input", "y0", "first")});
    for (int i = 1; i < layers; ++i)
      list.push_back(
          weighted("pointwise", fmt::format("y{}", i - 1), fmt::format("y{}", i), "square"));
    contents.metadata["graph"] = list.dump();
    return fault_of(contents, fmt::format("y{}", layers - 1));
  };
  setenv("MASKWATCH_MAX_NETWORK_GMACS", "1", 1);
  CHECK(deep(30) == "nothing was thrown");
  CHECK(deep(60) ==
        "net.safetensors: the network takes work over the limit of 1 thousand million products "
        "(MASKWATCH_MAX_NETWORK_GMACS sets it)");
  unsetenv("MASKWATCH_MAX_NETWORK_GMACS");
}
