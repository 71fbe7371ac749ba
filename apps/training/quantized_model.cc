#include "apps/training/quantized_model.h"

#include <algorithm>
#include <cmath>

#include "nn/classifier.h"
#include "nn/quantize.h"
#include "nn/safetensors.h"
#include "vision/image/network_input.h"

namespace maskwatch::apps {
namespace {

constexpr std::size_t kTogether = 32;
constexpr float kLeastProbability = 1e-12f;

}  // namespace

void write_quantized(const std::string& model_file, const std::string& output,
                     const LoadedDataset& data, const std::vector<int>& indices,
                     const FaceCrops* faces,
                     const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const auto model = nn::load_classifier(model_file);
  const std::vector<std::size_t> chosen = spread_evenly(indices.size(), nn::kCalibrationPictures);
  const auto load = [&](std::int64_t i, float* pixels) {
    const int index = indices[chosen[static_cast<std::size_t>(i)]];
    const bool has_face = faces && faces->found[static_cast<std::size_t>(index)];
    const vision::ImageView image(has_face ? faces->image(index) : data.image(index), data.size,
                                  data.size, 3, static_cast<std::size_t>(data.size) * 3);
    vision::to_network_input(image, pixels, model->options().backbone.preprocessing);
  };
  const nn::Graph fused = nn::fuse(model->graph());
  nn::Quantization ranges = nn::calibrate(fused, std::ssize(chosen), load, nn::RangeMethod::error,
                                          [&](std::int64_t done) {
                                            if (progress) progress(done, 2 * std::ssize(chosen));
                                          });
  ranges = nn::correct_biases(fused, std::move(ranges), std::ssize(chosen), load);
  nn::save_quantized(output, *model, nn::load_safetensors(model_file).metadata, ranges);
}

Evaluation evaluate_file(const std::string& model_file, const LoadedDataset& data,
                         const std::vector<int>& indices) {
  const auto model = nn::load_classifier(model_file);
  nn::Plan plan = model->compile(kTogether);
  const auto classes = static_cast<std::int64_t>(model->options().labels.size());
  Evaluation evaluation;
  evaluation.probabilities = nn::Tensor::empty({std::ssize(indices), classes});
  float* row = evaluation.probabilities.data();
  for (std::size_t done = 0; done < indices.size(); done += kTogether) {
    const auto begin = indices.begin() + static_cast<std::ptrdiff_t>(done);
    const std::vector<int> part(
        begin, begin + static_cast<std::ptrdiff_t>(std::min(kTogether, indices.size() - done)));
    const nn::Tensor inputs = inputs_of(data, part, model->options().backbone.preprocessing);
    plan.run(inputs.data(), std::ssize(part));
    std::copy_n(plan.output(), std::ssize(part) * classes, row);
    for (std::size_t i = 0; i < part.size(); ++i, row += classes) {
      const int label = data.dataset.images[static_cast<std::size_t>(part[i])].label;
      evaluation.labels.push_back(label);
      evaluation.predictions.push_back(
          static_cast<int>(std::max_element(row, row + classes) - row));
      evaluation.loss -= std::log(static_cast<double>(std::max(row[label], kLeastProbability)));
    }
  }
  if (!indices.empty()) evaluation.loss /= static_cast<double>(indices.size());
  return evaluation;
}

}  // namespace maskwatch::apps
