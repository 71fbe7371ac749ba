// The detector's network: as a plan, with frozen stages, in files, and its gradient. Its arithmetic
// is held against PyTorch by ssd_parity_test.py.
#include "nn/ssd.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "nn/fuse.h"
#include "nn/optimizer.h"
#include "tests/check.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

SsdNetworkOptions small(std::uint64_t seed = 1) {
  SsdNetworkOptions options;
  options.channels = 16;
  options.backbone.batch_norm.momentum = 0.5;
  options.seed = seed;
  return options;
}

// With statistics that are not those of a fresh network.
std::unique_ptr<SsdNetwork> warmed_up(const SsdNetworkOptions& options = small()) {
  auto network = std::make_unique<SsdNetwork>(options);
  const RecordingScope off(Recording::off);
  for (int step = 0; step < 4; ++step)
    network->forward(drawn({2, 64, 64, 3}, static_cast<std::uint64_t>(step)));
  network->eval();
  return network;
}

Plan plan_of(const SsdNetwork& network, std::int64_t height, std::int64_t width) {
  return Plan(fuse(network.graph(height, width)), 1);
}

std::vector<std::vector<SsdTarget>> two_pictures() {
  return {{{{8, 10, 26, 30}, 0}, {{30, 20, 62, 60}, 2}}, {{{2, 2, 40, 50}, 1}}};
}

}  // namespace

TEST_CASE("the published prototype's size, at any input size a row for each anchor") {
  SsdNetwork network({});
  CHECK(network.parameter_count() == 319776);
  network.eval();
  for (const auto& [height, width] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{64, 96}, {65, 33}, {240, 320}, {1, 7}}) {
    const RecordingScope off(Recording::off);
    const Tensor y = network.forward(drawn({1, height, width, 3}, 1));
    CHECK(y.shape() ==
          Shape{1, static_cast<std::int64_t>(network.anchors(height, width).size()), 8});
  }
}

TEST_CASE("as a plan it computes the same, at even and odd sizes") {
  const auto network = warmed_up();
  const RecordingScope off(Recording::off);
  for (const auto& [height, width] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{64, 96}, {75, 53}, {33, 129}}) {
    const Tensor x = drawn({1, height, width, 3}, 8);
    const Tensor expected = network->forward(x);
    Plan plan = plan_of(*network, height, width);
    plan.run(x.data(), 1);
    const std::span<const float> found(plan.output(), static_cast<std::size_t>(expected.count()));
    REQUIRE(plan.output_shape() == ActivationShape{expected.dim(1), 1, expected.dim(2)});
    CHECK(check::difference(found, in_double(expected), {1e-4, 1e-4}) == "");
  }
}

TEST_CASE("frozen stages run as a plan: the same result, and no gradient there") {
  for (const int first_trained : {3, 7, 8, 14, 15, 18}) {
    CAPTURE(first_trained);
    const auto network = warmed_up();
    const Tensor x = drawn({3, 64, 64, 3}, 8);
    const Tensor expected = network->forward(x).detach();
    network->freeze_before(first_trained, true);
    const Tensor y = network->forward(x);
    CHECK(check::difference(y.values(), in_double(expected), {1e-4, 1e-4}) == "");
    y.backward(drawn(y.shape(), 2));
    for (const auto& [name, tensor] : network->state_dict()) {
      if (name == "backbone.stem.conv.weight" || name == "backbone.blocks.1.expand.weight")
        CHECK_FALSE(tensor.grad().defined());
      if (name == "backbone.blocks.16.project.weight")
        CHECK(tensor.grad().defined() == (first_trained < 18));
      if (name == "backbone.blocks.6.expand.weight")
        CHECK(tensor.grad().defined() == (first_trained <= 7));
      if (name == "lateral3.conv.weight") CHECK(tensor.grad().defined());
    }
    // A larger batch, another size.
    CHECK(network->forward(drawn({5, 64, 64, 3}, 1)).dim(0) == 5);
    CHECK(network->forward(drawn({1, 32, 64, 3}, 1)).dim(0) == 1);
  }
  CHECK_THROWS_AS(warmed_up()->freeze_before(19), std::invalid_argument);
}

TEST_CASE("frozen stages run with the weights that were loaded last, into all or a part") {
  const auto network = warmed_up(), second = warmed_up(small(2)), third = warmed_up(small(3));
  const Tensor x = drawn({2, 64, 64, 3}, 8);
  const auto result_of = [&](SsdNetwork& fresh) {
    fresh.freeze_before(8, true);
    return fresh.forward(x).values();
  };
  network->freeze_before(8, true);
  network->forward(x);
  network->load_state_dict(second->state_dict());
  CHECK(network->forward(x).values() == result_of(*second));
  network->backbone().load_state_dict(third->state_dict(), "backbone.");
  const auto mixed = warmed_up(small(2));
  mixed->backbone().load_state_dict(third->state_dict(), "backbone.");
  CHECK(network->forward(x).values() == result_of(*mixed));
}

TEST_CASE("the gradient through the network: the loss falls along it as it says") {
  SsdNetwork network(small());
  const Tensor x = drawn({2, 128, 128, 3}, 5);
  const auto anchors = network.anchors(128, 128);
  const auto loss_of = [&] { return ssd_loss(network.forward(x), anchors, two_pictures()); };
  loss_of().backward();
  const auto parameters = network.trainable_parameters();
  double squares = 0;
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : parameters) {
    gradients.push_back(parameter.grad());
    REQUIRE(gradients.back().defined());
    for (const float g : gradients.back().values()) squares += double{g} * g;
  }
  const auto moved = [&](double step) {
    const RecordingScope off(Recording::off);
    std::vector<Tensor> before;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      before.push_back(parameters[i].clone());
      for (std::int64_t k = 0; k < parameters[i].count(); ++k)
        parameters[i].data()[k] += static_cast<float>(step * gradients[i].data()[k]);
    }
    const double loss = loss_of().item();
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].copy_from(before[i]);
    return loss;
  };
  // Small: batch norm bends the loss along the first layers' weights.
  const double step = 5e-5 / std::sqrt(squares);
  CHECK((moved(step) - moved(-step)) / (2 * step) == doctest::Approx(squares).epsilon(0.03));
}

TEST_CASE("training on two pictures finds their faces; the same bytes on any number of threads") {
  const auto trained = [](int threads, int steps) {
    const Threads scope(threads);
    auto network = std::make_unique<SsdNetwork>(small());
    const auto anchors = network->anchors(64, 64);
    const Tensor x = drawn({2, 64, 64, 3}, 5);
    Adam adam(network->trainable_parameters(), {.weight_decay = 0.01});
    const Schedule schedule{.kind = Schedule::Kind::cosine, .rate = 5e-3, .steps = steps};
    for (int step = 0; step < steps; ++step) {
      adam.zero_grad();
      ssd_loss(network->forward(x), anchors, two_pictures()).backward();
      adam.clip_gradients(5);
      adam.step(schedule.at(step));
    }
    return network;
  };
  const auto one = trained(1, 3), two = trained(2, 3);
  for (const auto& [name, tensor] : one->state_dict()) {
    const std::string& tensor_name = name;
    CAPTURE(tensor_name);
    CHECK(two->state_dict().at(name).values() == tensor.values());
  }
  const auto network = trained(2, 120);
  network->eval();
  const RecordingScope off(Recording::off);
  const Tensor y = network->forward(drawn({2, 64, 64, 3}, 5));
  const auto anchors = network->anchors(64, 64);
  for (std::size_t n = 0; n < 2; ++n) {
    const auto count = static_cast<std::size_t>(y.dim(1) * y.dim(2));
    const auto boxes = suppress(decode({y.data() + n * count, count}, anchors, 0.5f));
    const auto faces = two_pictures()[n];
    // Anchors that nearly stand for a face were taught nothing: they too may fire, but near one.
    for (const SsdBox& box : boxes)
      CHECK(std::any_of(faces.begin(), faces.end(), [&](const SsdTarget& face) {
        return intersection_over_union(box.box, face.box) > 0.25;
      }));
    for (const SsdTarget& face : faces)
      CHECK(std::any_of(boxes.begin(), boxes.end(), [&](const SsdBox& box) {
        const auto label = static_cast<std::size_t>(face.label);
        return intersection_over_union(box.box, face.box) > 0.5 && box.probabilities[label] > 0.5;
      }));
  }
}

TEST_CASE("a saved network comes back whole") {
  const TemporaryFolder folder;
  SsdNetworkOptions options = small(4);
  options.labels = {"yes", "no"};
  options.anchors.aspect = 1.5;
  options.anchors.levels[1].sizes = {20.5f, 40, 60};
  options.backbone.preprocessing = Preprocessing::imagenet;
  const auto network = warmed_up(options);
  save_ssd(folder.file("a"), *network, {{"epochs", "3"}});
  const Safetensors contents = load_safetensors(folder.file("a"));
  CHECK(is_ssd(contents));
  CHECK(contents.metadata.at("epochs") == "3");
  const auto loaded = load_ssd(folder.file("a"));
  CHECK_FALSE(loaded->training());
  CHECK(loaded->options().labels == options.labels);
  CHECK(loaded->options().anchors.aspect == 1.5);
  CHECK(loaded->options().anchors.levels[1].sizes == options.anchors.levels[1].sizes);
  CHECK(loaded->options().backbone.preprocessing == Preprocessing::imagenet);
  CHECK(loaded->options().backbone.batch_norm.momentum == 0.5);
  const Tensor x = drawn({1, 48, 48, 3}, 3);
  CHECK(loaded->forward(x).values() == network->forward(x).values());
}

TEST_CASE("files that are no such network are named") {
  const TemporaryFolder folder;
  save_ssd(folder.file("good"), *warmed_up());
  const auto fault = [&](const auto& change) {
    Safetensors contents = load_safetensors(folder.file("good"));
    change(contents);
    return message_of<std::runtime_error>([&] { make_ssd(contents, "file"); });
  };
  const auto with = [&](const char* key, const char* value) {
    return fault([&](Safetensors& contents) { contents.metadata[key] = value; });
  };
  CHECK(with("architecture", "mobilenet_v2") ==
        "file: holds the architecture \"mobilenet_v2\", not ssd_mobilenet_v2");
  CHECK(with("width", "8").starts_with("file: tensor lateral5.conv.weight has shape [112, 16]"));
  // A lateral as wide as such a network's does not make the file one.
  CHECK(fault([](Safetensors& contents) {
          contents.metadata["width"] = "8";
          contents.tensors["lateral5.conv.weight"] = Tensor::empty({2560, 16});
        }).starts_with("file: tensor backbone.stem.conv.weight has shape [3, 3, 3, 16]"));
  CHECK(with("channels", "1e9") == "file: metadata channels is out of range");
  CHECK(with("anchors", "[").starts_with("file: metadata \"anchors\": is not JSON: "));
  CHECK(with("anchors", R"({"aspect": 1, "levels": [{"stride": "x", "sizes": [1]}]})") ==
        "file: metadata \"anchors\": levels[0].stride is not a whole number from 1 to 64");
  CHECK(with("anchors", R"({"aspect": 1, "levels": [{"stride": 8, "sizes": [true]}]})") ==
        "file: metadata \"anchors\": levels[0].sizes[0] is not a number");
  CHECK(with("anchors", R"({"aspect": 1, "levels": [{"stride": 8, "sizes": [1]}]})") ==
        "file: SsdNetwork: the strides of its anchors are not 8, 16, 32 and 64");
  CHECK(with("labels", R"(["a", "b", "c", "d"])").find("head3.output.bias") != std::string::npos);
  CHECK(fault([](Safetensors& contents) { contents.tensors.erase("smooth4.depthwise.weight"); }) ==
        "file: tensor smooth4.depthwise.weight is missing");
  CHECK(fault([](Safetensors& contents) {
          contents.tensors.at("head6.output.bias").data()[0] = std::nanf("");
        }) == "file: tensor head6.output.bias holds a number that is not finite");
}

TEST_CASE("options that make no network, inputs that are no pictures") {
  const auto fault = [](const auto& change) {
    SsdNetworkOptions options = small();
    change(options);
    return message_of<std::invalid_argument>([&] { SsdNetwork network(options); });
  };
  CHECK(fault([](auto& o) { o.channels = 0; }) == "SsdNetwork: 0 channels are not in 1..1024");
  CHECK(fault([](auto& o) { o.labels = {"face"}; }) == "SsdNetwork: fewer than two labels");
  CHECK(fault([](auto& o) { o.anchors.levels[2].sizes.clear(); }) ==
        "SsdNetwork: 0 sizes of anchors are not in 1..32");
  SsdNetwork network(small());
  CHECK(message_of<std::invalid_argument>([&] {
          network.forward(Tensor::zeros({1, 8, 8, 1}));
        }) == "SsdNetwork: takes [n, height, width, 3], not [1, 8, 8, 1]");
}
