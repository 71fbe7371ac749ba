// An image classifier: MobileNetV2, global average pool, and a head. This is what a model file
// holds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/mobilenet_v2.h"
#include "nn/safetensors.h"

namespace maskwatch::nn {

enum class HeadKind {
  none,        // features only
  mask,        // dense 128 + ReLU, dropout 0.5, dense: the original mask detector's;
               // head.{hidden,output}.*
  classifier,  // one dense layer, as ImageNet models have; classifier.*
};

class Head : public Module {
 public:
  static constexpr double kDropoutRate = 0.5;

  Head(std::int64_t features, std::int64_t hidden_units, std::int64_t classes, Random& random);

  // x[n, features] to logits [n, classes].
  Tensor forward(const Tensor& x) override;
  Value lower(PlanBuilder& builder, Value x) const override;
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
};

class Classifier : public Module {
 public:
  // Parameters drawn from `seed`. std::invalid_argument for a head without at least two labels.
  explicit Classifier(const ClassifierOptions& options, std::uint64_t seed = 42);

  // x[n, size, size, 3], preprocessed, to logits [n, classes] (features without a head).
  Tensor forward(const Tensor& x) override;
  Value lower(PlanBuilder& builder, Value x) const override;
  // Behind the backbone: from features [n, h, w, c] to logits.
  Tensor forward_head(const Tensor& features);

  const ClassifierOptions& options() const { return options_; }
  MobileNetV2& backbone() { return backbone_; }
  Head* mask_head() { return mask_head_.get(); }

  PictureShape input_shape() const {
    return {options_.backbone.input_size, options_.backbone.input_size, 3};
  }

  // As a plan for up to `capacity` pictures whose output is class probabilities (features without a
  // head).
  Plan compile(std::int64_t capacity) const;

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

// What metadata and shapes say; classes without names are called "class 0", "class 1", ...
// std::runtime_error names `path` and what is missing, unknown or not a MobileNetV2.
ClassifierOptions classifier_options(const Safetensors& contents, const std::string& path);
// std::runtime_error names the file and its fault.
std::unique_ptr<Classifier> load_classifier(const std::string& path);

}  // namespace maskwatch::nn
