// An image classifier: MobileNetV2, global average pool, and a head. One of the networks
// that a model file can hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nn/fuse.h"
#include "nn/mobilenet_v2.h"
#include "nn/ops/check.h"
#include "nn/ops/dropout.h"
#include "nn/ops/elementwise.h"
#include "nn/ops/pool.h"
#include "nn/plan.h"
#include "nn/quantize.h"
#include "nn/safetensors.h"

namespace maskwatch::nn {

enum class HeadKind {
  none,        // features only
  mask,        // dense 128 + ReLU, dropout 0.5, dense: the original mask detector's;
               // head.{hidden,output}.*
  classifier,  // one dense layer, as ImageNet models have; classifier.*
};

class Head : public TraceableModule {
 public:
  static constexpr double kDropoutRate = 0.5;

  Head(std::int64_t features, std::int64_t hidden_units, std::int64_t classes, Random& random)
      : hidden_(features, hidden_units, random), output_(hidden_units, classes, random) {
    add_module("hidden", hidden_);
    add_module("output", output_);
  }

  // x[n, features] to logits [n, classes].
  Tensor forward(const Tensor& x) override {
    const Tensor hidden = relu(hidden_.forward(x));
    return output_.forward(training() ? dropout(hidden, kDropoutRate, dropout_seed_) : hidden);
  }

  Value trace(Graph& graph, Value x) const override {
    const Value hidden = graph.add(op::Activate{Activation::relu}, {hidden_.trace(graph, x)});
    return output_.trace(graph, hidden);
  }

  // What the next forward in training mode drops.
  void set_dropout_seed(std::uint64_t seed) { dropout_seed_ = seed; }

 private:
  Dense hidden_, output_;
  std::uint64_t dropout_seed_ = 0;
};

struct ClassifierOptions {
  MobileNetV2Options backbone;
  HeadKind head = HeadKind::mask;
  std::int64_t hidden_units = 128;  // of HeadKind::mask
  std::vector<std::string> labels;  // one a class; empty with HeadKind::none
  // What each label stands for, in words that a user of the model knows (vision/masks/labels.h);
  // an empty word, or none at all: its name says it.
  std::vector<std::string> meanings;
  Quantization quantization = {};  // not empty: it is compiled to int8 (nn/quantize.h)
};

class Classifier : public TraceableModule {
 public:
  // Parameters drawn from `seed`. std::invalid_argument for a head without at least two labels and
  // for a backbone without the last stage.
  explicit Classifier(const ClassifierOptions& options, std::uint64_t seed = 42)
      : random_(Random::of_seed(seed)), options_(options), backbone_(options.backbone, random_) {
    if (!options.backbone.has_last) reject("Classifier", "its backbone needs the last stage");
    const auto classes = static_cast<std::int64_t>(options.labels.size());
    if (options.head != HeadKind::none && classes < 2)
      reject("Classifier", std::to_string(classes) + " labels; two or more are needed");
    const std::int64_t features = backbone_.feature_channels();
    add_module("", backbone_);
    if (options.head == HeadKind::mask) {
      mask_head_ = std::make_unique<Head>(features, options.hidden_units, classes, random_);
      add_module("head", *mask_head_);
    } else if (options.head == HeadKind::classifier) {
      classifier_head_ = std::make_unique<Dense>(features, classes, random_);
      add_module("classifier", *classifier_head_);
    }
  }

  // x[n, size, size, 3], preprocessed, to logits [n, classes] (features without a head).
  Tensor forward(const Tensor& x) override { return forward_head(backbone_.forward(x)); }

  // Behind the backbone: from features [n, h, w, c] to logits.
  Tensor forward_head(const Tensor& features) {
    const Tensor pooled = global_average_pool(features);
    if (mask_head_) return mask_head_->forward(pooled);
    return classifier_head_ ? classifier_head_->forward(pooled) : pooled;
  }

  Value trace(Graph& graph, Value x) const override {
    const Value pooled = backbone_.trace_pooled(graph, x);
    if (mask_head_) return mask_head_->trace(graph, pooled);
    return classifier_head_ ? classifier_head_->trace(graph, pooled) : pooled;
  }

  // From a picture to class probabilities (features without a head).
  Graph graph() const {
    Graph graph(input_shape());
    const Value y = trace(graph, graph.input());
    graph.output(options_.head == HeadKind::none ? y : graph.add(op::Softmax{}, {y}));
    return graph;
  }
  // The same, fused, as a plan for up to `capacity` pictures. std::runtime_error if it is quantised
  // by ranges of other layers.
  Plan compile(std::int64_t capacity, kernels::Device& device = kernels::cpu_device()) const {
    return Plan(fuse_quantized(graph(), options_.quantization), capacity, device);
  }

  const ClassifierOptions& options() const { return options_; }
  MobileNetV2& backbone() { return backbone_; }
  Head* mask_head() { return mask_head_.get(); }

  ActivationShape input_shape() const {
    return {options_.backbone.input_size, options_.backbone.input_size, 3};
  }

 private:
  Random random_;
  ClassifierOptions options_;
  MobileNetV2 backbone_;
  std::unique_ptr<Head> mask_head_;
  std::unique_ptr<Dense> classifier_head_;
};

// A model as a file's contents and back. `extra` joins the metadata.
Safetensors to_safetensors(const Classifier& model,
                           const std::map<std::string, std::string>& extra = {});
void save_classifier(const std::string& path, const Classifier& model,
                     const std::map<std::string, std::string>& extra = {},
                     Precision precision = Precision::f32);
// One that runs in int8, by these ranges.
void save_quantized(const std::string& path, const Classifier& model,
                    const std::map<std::string, std::string>& extra, const Quantization& ranges,
                    Precision precision = Precision::i8);

// What metadata and shapes say; classes without names are called "class 0", "class 1", ...
// std::runtime_error names the file as `name` and what is missing, unknown or not a MobileNetV2.
ClassifierOptions classifier_options(const Safetensors& contents, const std::string& name);

// In evaluation mode. std::runtime_error names the file and its fault.
std::unique_ptr<Classifier> load_classifier(const std::string& path);
// The same from the bytes of a file; `name` stands for the path in messages.
std::unique_ptr<Classifier> load_classifier(std::span<const std::byte> bytes,
                                            const std::string& name);

}  // namespace maskwatch::nn
