// Model files of classifiers, in float and in int8: safetensors and metadata, to a plan, to the
// class of a picture.
#include <algorithm>
#include <span>

#include "nn/classifier.h"
#include "nn/fuse.h"
#include "tests/fuzz/fuzz.h"
#include "vision/masks/labels.h"
#include "vision/masks/mask_classifier.h"

namespace maskwatch::fuzz {
namespace {

std::vector<std::string> seeds() {
  std::vector<std::string> seeds;
  for (const nn::HeadKind head : {nn::HeadKind::mask, nn::HeadKind::classifier}) {
    nn::ClassifierOptions options;
    options.backbone.width = 0.05;
    options.backbone.input_size = 32;
    options.head = head;
    options.hidden_units = 2;
    options.labels = {"with_mask", "without_mask", "background"};
    nn::Classifier model(options);
    model.eval();
    seeds.push_back(bytes_of([&](const std::string& path) {
      nn::save_classifier(path, model, {}, nn::Precision::f16);
    }));
    const nn::Graph fused = nn::fuse(model.graph());
    const auto load = [&](std::int64_t, float* pixels) {
      std::fill_n(pixels, fused.shape(fused.input()).count(), 0.5f);
    };
    const nn::Quantization ranges = nn::calibrate(fused, 1, load, nn::RangeMethod::extremes);
    for (const nn::Quantization& each : {ranges, nn::correct_biases(fused, ranges, 1, load)})
      seeds.push_back(
          bytes_of([&](const std::string& path) { nn::save_quantized(path, model, {}, each); }));
  }
  return seeds;
}

bool run(std::string_view bytes) {
  return expect_faults([&] {
    const std::span<const std::uint8_t> contents(
        reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    vision::MaskClassifier classifier(contents, "model", 1);
    const vision::Image crop(classifier.input_size(), classifier.input_size());
    const auto found = classifier.classify(std::span(&crop, 1));
    const auto label = static_cast<std::size_t>(found.at(0).label);
    vision::result_text(classifier.labels().at(label), classifier.meanings().at(label),
                        found[0].probabilities.at(0));
  });
}

}  // namespace

const Target model{"model", seeds, run, mutate_safetensors, true};

}  // namespace maskwatch::fuzz
