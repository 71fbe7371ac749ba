// Model files: round trips, and files that hold something else.
#include "nn/classifier.h"

#include <doctest/doctest.h>

#include <limits>
#include <span>

#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

ClassifierOptions small_options(HeadKind head) {
  ClassifierOptions options;
  options.backbone.width = 0.35;
  options.backbone.input_size = 32;
  options.head = head;
  if (head != HeadKind::none) options.labels = {"mask", "no \"mask\"", "ümlaut"};
  return options;
}

const Classifier& model() {
  static const Classifier model(small_options(HeadKind::mask));
  return model;
}

// What load_classifier says against the model's file after `change`; it must name the file.
std::string fault_after(const std::function<void(Safetensors&)>& change) {
  const TemporaryFolder folder;
  const std::string path = folder.file("model.safetensors");
  Safetensors contents = to_safetensors(model());
  change(contents);
  save_safetensors(path, contents);
  const std::string message = message_of<std::runtime_error>([&] { load_classifier(path); });
  REQUIRE_MESSAGE(message.starts_with(path + ": "), message);
  return message.substr(path.size() + 2);
}

std::string fault_with(const std::string& key, const std::string& value) {
  return fault_after([&](Safetensors& contents) { contents.metadata[key] = value; });
}

}  // namespace

TEST_CASE("a model file gives the model back, with each kind of head and either flavour") {
  const TemporaryFolder folder;
  for (const HeadKind head : {HeadKind::none, HeadKind::mask, HeadKind::classifier}) {
    ClassifierOptions options = small_options(head);
    options.backbone.padding = head == HeadKind::mask ? Padding::symmetric : Padding::tf;
    options.backbone.preprocessing = head == HeadKind::mask         ? Preprocessing::imagenet
                                     : head == HeadKind::classifier ? Preprocessing::unit
                                                                    : Preprocessing::tf;
    options.hidden_units = 37;
    options.backbone.batch_norm.epsilon = head == HeadKind::mask ? 1e-5 : 1e-3;
    options.backbone.batch_norm.momentum = head == HeadKind::mask ? 0.75 : 0.99;
    options.backbone.batch_norm.unbiased = head == HeadKind::mask;
    const Classifier saved(options, 3);
    save_classifier(folder.file("a"), saved, {{"note", "kept"}});
    const auto loaded = load_classifier(folder.file("a"));
    CHECK(loaded->options().head == head);
    if (head == HeadKind::mask) CHECK(loaded->options().hidden_units == 37);
    CHECK(loaded->options().labels == options.labels);
    CHECK(loaded->options().backbone.width == 0.35);
    CHECK(loaded->options().backbone.input_size == 32);
    CHECK(loaded->options().backbone.padding == options.backbone.padding);
    CHECK(loaded->options().backbone.preprocessing == options.backbone.preprocessing);
    CHECK(loaded->options().backbone.batch_norm.epsilon == options.backbone.batch_norm.epsilon);
    CHECK(loaded->options().backbone.batch_norm.momentum == options.backbone.batch_norm.momentum);
    CHECK(loaded->options().backbone.batch_norm.unbiased == options.backbone.batch_norm.unbiased);
    CHECK_FALSE(loaded->training());
    CHECK(load_safetensors(folder.file("a")).metadata.at("note") == "kept");
    const StateDict expected = saved.state_dict(), found = loaded->state_dict();
    REQUIRE(found.size() == expected.size());
    for (const auto& [name, tensor] : expected) CHECK(found.at(name).values() == tensor.values());
    save_classifier(folder.file("b"), *loaded, {{"note", "kept"}});
    CHECK(read(folder.file("a")) == read(folder.file("b")));
  }
}

TEST_CASE("a model is loaded from bytes as from its file") {
  const TemporaryFolder folder;
  save_classifier(folder.file("a"), model());
  std::string bytes = read(folder.file("a"));
  const auto load = [&] { return load_classifier(std::as_bytes(std::span(bytes)), "built in"); };
  const auto loaded = load();
  CHECK(loaded->options().labels == model().options().labels);
  CHECK_FALSE(loaded->training());
  const StateDict expected = model().state_dict(), found = loaded->state_dict();
  REQUIRE(found.size() == expected.size());
  for (const auto& [name, tensor] : expected) CHECK(found.at(name).values() == tensor.values());
  bytes.replace(bytes.find("mobilenet_v2"), 12, "mobilenet_v9");
  CHECK(message_of<std::runtime_error>(load) ==
        "built in: holds the architecture \"mobilenet_v9\", not mobilenet_v2");
  bytes.resize(100);
  CHECK(contains(message_of<std::runtime_error>(load), "built in: not a valid safetensors file"));
}

TEST_CASE("files that do not say how batch norm was trained") {
  Safetensors contents = to_safetensors(model());
  contents.metadata.erase("bn_momentum");
  contents.metadata.erase("bn_unbiased");
  for (const bool symmetric : {false, true}) {
    contents.metadata["padding"] = symmetric ? "symmetric" : "tf";
    const BatchNormOptions found = classifier_options(contents, "here").backbone.batch_norm;
    CHECK(found.momentum == (symmetric ? 0.9 : 0.999));
    CHECK(found.unbiased == symmetric);
  }
}

TEST_CASE("a half-precision model answers almost the same") {
  const TemporaryFolder folder;
  save_classifier(folder.file("a"), model(), {}, Precision::f16);
  const auto loaded = load_classifier(folder.file("a"));
  Plan whole = model().compile(1), half = loaded->compile(1);
  const Tensor x = drawn({1, 32, 32, 3}, 1);
  whole.run(x.data(), 1);
  half.run(x.data(), 1);
  for (int i = 0; i < 3; ++i)
    CHECK(half.output()[i] == doctest::Approx(whole.output()[i]).epsilon(0.02));
}

TEST_CASE("labels that are missing are numbered") {
  const TemporaryFolder folder;
  Safetensors contents = to_safetensors(model());
  contents.metadata.erase("labels");
  save_safetensors(folder.file("a"), contents);
  CHECK(load_classifier(folder.file("a"))->options().labels ==
        std::vector<std::string>{"class 0", "class 1", "class 2"});
  CHECK(fault_after([](Safetensors& c) {
          c.metadata.erase("labels");
          c.tensors.erase("head.output.weight");
        }) == "tensor head.output.weight is missing");
  for (const std::int64_t classes : {std::int64_t{1}, std::int64_t{1} << 38})
    CHECK(contains(fault_after([&](Safetensors& c) {
                     c.metadata.erase("labels");
                     c.tensors["head.output.weight"] = Tensor::empty({0, classes});
                   }),
                   "its last layer has " + std::to_string(classes) + " outputs"));
}

TEST_CASE("sizes that only an empty tensor states take no memory") {
  CHECK(contains(fault_after([](Safetensors& c) {
                   c.tensors["head.hidden.weight"] = Tensor::empty({0, std::int64_t{1} << 38});
                 }),
                 "tensor head.hidden.weight has shape [0, 274877906944]"));
}

TEST_CASE("metadata that are missing, unknown or malformed") {
  for (const char* key :
       {"architecture", "width", "input_size", "padding", "bn_epsilon", "preprocessing", "head"})
    CHECK(fault_after([&](Safetensors& c) { c.metadata.erase(key); }) ==
          std::string("not a Maskwatch model: metadata ") + key + " is missing");
  CHECK(fault_with("architecture", "rfb_320") ==
        "holds the architecture \"rfb_320\", not mobilenet_v2");
  for (const char* width : {"", "wide", "1.0x", " 1", "nan", "inf", "0", "-1", "9", "1e300"})
    CHECK_MESSAGE(contains(fault_with("width", width), "metadata width is"), width);
  for (const char* size : {"", "0", "31", "224.5", "1025", "4096", "-224", "1e18", "nan"})
    CHECK_MESSAGE(contains(fault_with("input_size", size), "metadata input_size is"), size);
  for (const char* epsilon : {"0", "-1e-3", "1", "nan"})
    CHECK_MESSAGE(contains(fault_with("bn_epsilon", epsilon), "bn_epsilon is out"), epsilon);
  for (const char* momentum : {"-0.1", "1.1", "nan", ""})
    CHECK_MESSAGE(contains(fault_with("bn_momentum", momentum), "metadata bn_momentum is"),
                  momentum);
  CHECK(fault_with("bn_unbiased", "yes") == "metadata bn_unbiased is \"yes\", which is unknown");
  CHECK(fault_with("padding", "TF") == "metadata padding is \"TF\", which is unknown");
  CHECK(fault_with("preprocessing", "") == "metadata preprocessing is \"\", which is unknown");
  CHECK(fault_with("head", "ssd") == "metadata head is \"ssd\", which is unknown");
  for (const char* labels : {"", "mask", "[", "{}", "[]", "[\"one\"]", "{\"a\":1}", "7"})
    CHECK(fault_with("labels", labels) == "metadata labels is not a list of two or more");
  CHECK(fault_with("labels", "[\"a\", 7, \"c\"]") ==
        "metadata labels holds something that is not a string");
  CHECK(contains(fault_with("labels", std::string(100000, '[')), "metadata labels is not a list"));
}

TEST_CASE("tensors that are missing or of another shape") {
  CHECK(fault_after([](Safetensors& c) { c.tensors.erase("blocks.3.expand.weight"); }) ==
        "tensor blocks.3.expand.weight is missing");
  CHECK(fault_after([](Safetensors& c) {
          c.tensors["blocks.3.depthwise.weight"] = Tensor::zeros({3, 3, 8});
        }) == "tensor blocks.3.depthwise.weight has shape [3, 3, 8], expected [3, 3, 48]");
  CHECK(contains(fault_with("width", "1.0"),
                 "tensor last.conv.weight has shape [112, 1280]; width 1"));
  CHECK(contains(fault_with("width", "8"), "tensor head.hidden.weight has shape"));
  CHECK(contains(fault_with("labels", R"(["a","b"])"),
                 "tensor head.output.weight has shape [128, 3]"));
  CHECK(fault_with("head", "classifier") == "tensor classifier.weight is missing");
  CHECK(fault_after([](Safetensors& c) { c.tensors.clear(); }) ==
        "tensor head.hidden.weight is missing");
}

TEST_CASE("numbers that no training leaves behind") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()})
    CHECK(fault_after([&](Safetensors& c) {
            Tensor& tensor = c.tensors["blocks.1.project.weight"];
            tensor = tensor.clone();
            tensor.data()[3] = bad;
          }) == "tensor blocks.1.project.weight holds a number that is not finite");
  CHECK(fault_after([](Safetensors& c) {
          Tensor& tensor = c.tensors["last.bn.variance"];
          tensor = Tensor::full(tensor.shape(), -0.5f);
        }) == "tensor last.bn.variance holds a negative variance");
}

TEST_CASE("files that are not models") {
  const TemporaryFolder folder;
  write(folder.file("text"), "this is a text and not a model");
  const auto fault = [&](const char* name) {
    return message_of<std::runtime_error>([&] { load_classifier(folder.file(name)); });
  };
  CHECK(contains(fault("text"), folder.file("text") + ": not a valid safetensors file"));
  CHECK(contains(fault("none"), folder.file("none") + ": cannot open: No such file"));
}

TEST_CASE("a head needs two classes") {
  ClassifierOptions options = small_options(HeadKind::mask);
  options.labels = {"alone"};
  CHECK(contains(message_of<std::invalid_argument>([&] { Classifier c(options); }),
                 "1 labels; two or more"));
}

TEST_CASE("a backbone without the last stage makes no classifier, and no pool is fused behind it") {
  ClassifierOptions options = small_options(HeadKind::mask);
  options.backbone.has_last = false;
  CHECK(message_of<std::invalid_argument>([&] { Classifier classifier(options); }) ==
        "Classifier: its backbone needs the last stage");
}
