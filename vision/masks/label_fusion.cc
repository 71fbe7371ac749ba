#include "vision/masks/label_fusion.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

// One that were quite sure would overrule the other, whatever that says.
constexpr double kLeast = 1e-6;
constexpr std::size_t kMeanings = 3;  // mask, no_mask, worn_wrongly

using PerMeaning = std::array<double, kMeanings>;

PerMeaning sum_by(std::span<const std::size_t> meanings, std::span<const float> probabilities) {
  PerMeaning sums{};
  for (std::size_t i = 0; i < meanings.size(); ++i)
    if (meanings[i] < kMeanings) sums[meanings[i]] += static_cast<double>(probabilities[i]);
  return sums;
}

// The labels of one side by what they mean, and how many there are of each meaning.
struct Side {
  explicit Side(std::span<const LabelMeaning> labels) {
    for (const LabelMeaning label : labels) {
      meanings.push_back(static_cast<std::size_t>(label));
      if (meanings.back() < kMeanings) ++counts[meanings.back()];
    }
  }
  std::vector<std::size_t> meanings;
  std::array<int, kMeanings> counts{};
};

void check(const std::vector<Classification>& classes, std::size_t labels,
           const LocatedFaces& found) {
  if (classes.size() != found.faces.size() || classes.size() != found.probabilities.size())
    throw std::invalid_argument(fmt::format(
        "fuse_labels: {} faces with {} answers of the classifier and {} of the detector",
        found.faces.size(), classes.size(), found.probabilities.size()));
  for (std::size_t i = 0; i < classes.size(); ++i)
    if (classes[i].probabilities.size() != labels ||
        found.probabilities[i].size() != found.labels.size())
      throw std::invalid_argument(
          fmt::format("fuse_labels: {} and {} probabilities for {} and {} labels",
                      classes[i].probabilities.size(), found.probabilities[i].size(), labels,
                      found.labels.size()));
}

void fuse(Classification& face, const Side& classifier, const PerMeaning& detector,
          const std::array<bool, kMeanings>& shared, double weight) {
  const PerMeaning own = sum_by(classifier.meanings, face.probabilities);
  PerMeaning joined{};
  double shared_sum = 0, joined_sum = 0;
  for (std::size_t m = 0; m < kMeanings; ++m) {
    if (!shared[m]) continue;
    joined[m] = std::exp((1 - weight) * std::log(std::max(own[m], kLeast)) +
                         weight * std::log(std::max(detector[m], kLeast)));
    shared_sum += own[m];
    joined_sum += joined[m];
  }
  for (std::size_t i = 0; i < classifier.meanings.size(); ++i) {
    const std::size_t m = classifier.meanings[i];
    if (m >= kMeanings || !shared[m]) continue;
    const double share = own[m] > 0 ? static_cast<double>(face.probabilities[i]) / own[m]
                                    : 1.0 / classifier.counts[m];
    face.probabilities[i] = static_cast<float>(share * shared_sum * joined[m] / joined_sum);
  }
  face.label =
      static_cast<int>(std::max_element(face.probabilities.begin(), face.probabilities.end()) -
                       face.probabilities.begin());
}

}  // namespace

std::vector<Classification> fuse_labels(std::vector<Classification> classes,
                                        std::span<const LabelMeaning> meanings,
                                        const LocatedFaces& found, float detector_weight) {
  if (found.labels.empty()) return classes;
  check(classes, meanings.size(), found);
  constexpr auto kMask = static_cast<std::size_t>(LabelMeaning::mask);
  constexpr auto kWornWrongly = static_cast<std::size_t>(LabelMeaning::worn_wrongly);
  const Side classifier(meanings);
  Side detector(meanings_of(found.labels));
  if (classifier.counts[kWornWrongly] == 0)
    for (std::size_t& meaning : detector.meanings)
      if (meaning == kWornWrongly) {
        meaning = kMask;
        ++detector.counts[kMask];
      }
  std::array<bool, kMeanings> shared{};
  for (std::size_t m = 0; m < kMeanings; ++m)
    shared[m] = classifier.counts[m] > 0 && detector.counts[m] > 0;
  if (std::count(shared.begin(), shared.end(), true) < 2) return classes;
  for (std::size_t i = 0; i < classes.size(); ++i)
    fuse(classes[i], classifier, sum_by(detector.meanings, found.probabilities[i]), shared,
         static_cast<double>(detector_weight));
  return classes;
}

}  // namespace maskwatch::vision
