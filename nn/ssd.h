// A single-shot face detector (Liu et al., "SSD", 2016): MobileNetV2, a light feature pyramid on
// top (Lin et al., "Feature pyramid networks", 2017) and separable heads at strides 8 to 64. For
// each anchor it gives four numbers of the box, the logit of a face, and the logits of the classes.
//
// State: backbone.* (nn/mobilenet_v2.h, without `last`), lateral{3,4,5}.{conv,bn}.*,
// smooth{3,4,5}.*, down6.* and head{3,4,5,6}.{features.*,output.*}; separable layers are
// {depthwise,depthwise_bn,pointwise,pointwise_bn}.*.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/anchors.h"
#include "nn/mobilenet_v2.h"
#include "nn/ops/detection_loss.h"
#include "nn/plan.h"
#include "nn/quantize.h"
#include "nn/safetensors.h"

namespace maskwatch::nn {

struct SsdNetworkOptions {
  // input_size: side of the crops it was trained on; it runs on any size. Padding and batch norm
  // are also those of the pyramid and the heads.
  MobileNetV2Options backbone = {
      .width = 0.35, .input_size = 256, .batch_norm = {.momentum = 0.99}};
  std::int64_t channels = 64;  // of the pyramid and the heads
  AnchorOptions anchors = {};  // four levels, strides 8, 16, 32, 64
  std::vector<std::string> labels = {"with_mask", "without_mask", "mask_worn_wrongly"};
  std::uint64_t seed = 0;          // of the initial weights
  Quantization quantization = {};  // not empty: it is compiled to int8 (nn/quantize.h)
};

class SsdNetwork : public TraceableModule {
 public:
  // std::invalid_argument for options that make no such network.
  explicit SsdNetwork(const SsdNetworkOptions& options);
  ~SsdNetwork() override;

  // x[n, height, width, 3], preprocessed, to [n, anchors, 5 + classes]; anchors as anchors(height,
  // width) gives them.
  Tensor forward(const Tensor& x) override;
  // [anchors, 1, 5 + classes]
  Value trace(Graph& graph, Value x) const override;
  // The whole network, for pictures of that size.
  Graph graph(std::int64_t height, std::int64_t width) const;
  // The same, fused, as a plan for up to `capacity` pictures at a time. Errors as
  // Classifier::compile()'s.
  Plan compile(std::int64_t height, std::int64_t width,
               kernels::Device& device = kernels::cpu_device(), std::int64_t capacity = 1) const;

  std::vector<Anchor> anchors(std::int64_t height, std::int64_t width) const {
    return make_anchors(height, width, options_.anchors);
  }
  std::int64_t classes() const { return static_cast<std::int64_t>(options_.labels.size()); }

  // Freezes the stages of the backbone before `first_trained` (0: none, 18: all), which
  // forward() then runs as a plan with batch norm folded in, made of their weights as this or
  // load_state_dict() left them. The other stages' batch norms keep the running statistics, if so
  // asked.
  void freeze_before(int first_trained, bool keep_statistics = false);

  MobileNetV2& backbone();
  const SsdNetworkOptions& options() const { return options_; }

 private:
  struct Parts;
  void plan_frozen(const ActivationShape& picture, std::int64_t capacity, kernels::Device& device);
  // The result of the frozen stages, and C3 and C4 where those make them.
  std::vector<Tensor> run_frozen(const Tensor& x);

  SsdNetworkOptions options_;
  int first_trained_ = 0;
  std::optional<Plan> frozen_;     // the stages before first_trained_
  std::int64_t frozen_loads_ = 0;  // loads() when it was made
  std::unique_ptr<Parts> parts_;
};

// safetensors with the architecture, labels, anchors, preprocessing and training size as metadata,
// and `extra`. Errors as save_safetensors.
void save_ssd(const std::string& path, const SsdNetwork& network,
              const std::map<std::string, std::string>& extra = {},
              Precision precision = Precision::f32);
// In evaluation mode. std::runtime_error names the file and its fault.
std::unique_ptr<SsdNetwork> load_ssd(const std::string& path);
// Whether the metadata of a file says that load_ssd() reads it.
bool is_ssd(const Safetensors& contents);
// The same from contents read already; `path` stands for the file in errors.
std::unique_ptr<SsdNetwork> make_ssd(const Safetensors& contents, const std::string& path);

}  // namespace maskwatch::nn
