#include "nn/ops/detection_loss.h"

#include <fmt/format.h>

#include "base/parallel.h"
#include "nn/ops/check.h"

namespace maskwatch::nn {
namespace {

void check(const Tensor& outputs, const std::vector<Anchor>& anchors,
           const std::vector<std::vector<SsdTarget>>& targets, const SsdLossOptions& options) {
  if (outputs.shape().size() != 3 || outputs.dim(0) != static_cast<std::int64_t>(targets.size()) ||
      outputs.dim(1) != static_cast<std::int64_t>(anchors.size()) || outputs.dim(2) < 6)
    reject("ssd_loss", fmt::format("outputs {} for a batch of {} and {} anchors",
                                   to_string(outputs.shape()), targets.size(), anchors.size()));
  const std::int64_t classes = outputs.dim(2) - 5;
  if (!options.weight_of_class.empty() &&
      static_cast<std::int64_t>(options.weight_of_class.size()) != classes)
    reject("ssd_loss",
           fmt::format("{} weights for {} classes", options.weight_of_class.size(), classes));
  for (const auto& faces : targets)
    for (const SsdTarget& face : faces)
      if (face.label >= classes || face.label < kUnknownClass)
        reject("ssd_loss", fmt::format("label {} of {} classes", face.label, classes));
}

}  // namespace

Tensor ssd_loss(const Tensor& outputs, const std::vector<Anchor>& anchors,
                const std::vector<std::vector<SsdTarget>>& targets, const SsdLossOptions& options,
                SsdLossParts* parts) {
  // Few numbers and many decisions: on the CPU, wherever the network runs.
  if (!outputs.device().on_host()) return ssd_loss(outputs.cpu(), anchors, targets, options, parts);
  check(outputs, anchors, targets, options);
  const std::size_t batch = targets.size();
  std::vector<std::vector<int>> matches(batch);
  parallel_for(outputs.dim(0), [&](std::int64_t n) {
    const auto i = static_cast<std::size_t>(n);
    matches[i] = match_anchors(anchors, targets[i], options.match);
  });
  SsdLossParts sums;
  for (const std::vector<int>& of_picture : matches)
    sums.positives +=
        std::count_if(of_picture.begin(), of_picture.end(), [](int match) { return match >= 0; });
  const double factor = 1 / static_cast<double>(std::max<std::int64_t>(sums.positives, 1));

  const Tensor gradient = Tensor::empty(outputs.shape(), outputs.device());
  std::vector<SsdLossParts> of_pictures(batch);
  const std::int64_t count = outputs.dim(1) * outputs.dim(2);
  parallel_for(outputs.dim(0), [&](std::int64_t n) {
    const auto i = static_cast<std::size_t>(n);
    of_pictures[i] =
        detection_loss(gradient.data() + n * count, outputs.data() + n * count, outputs.dim(2) - 5,
                       anchors, matches[i], targets[i], options, factor);
  });
  for (const SsdLossParts& picture : of_pictures) {
    sums.face += picture.face * factor;
    sums.box += picture.box * factor;
    sums.classes += picture.classes * factor;
  }
  if (parts) *parts = sums;
  const double sum = options.face_weight * sums.face + options.box_weight * sums.box +
                     options.class_weight * sums.classes;
  const Tensor loss = Tensor::full({1}, static_cast<float>(sum), outputs.device());
  loss.record({outputs}, [outputs, gradient](const Tensor& dloss) {
    gradient.device().table().scale(gradient.data(), gradient.data(), dloss.item(),
                                    gradient.count());
    outputs.add_gradient(gradient);
  });
  return loss;
}

}  // namespace maskwatch::nn
