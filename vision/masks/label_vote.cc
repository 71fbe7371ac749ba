#include "vision/masks/label_vote.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

// One vote, however sure, is worth no more than odds of about 50 to 1.
constexpr float kLeast = .02f;
constexpr double kConfidenceMemory = .5;  // seconds

}  // namespace

void LabelVote::add(double time, std::span<const float> probabilities) {
  if (probabilities.empty() || (label_ >= 0 && evidence_.size() != probabilities.size()))
    throw std::invalid_argument(fmt::format("LabelVote::add: {} probabilities after {}",
                                            probabilities.size(), evidence_.size()));
  const bool first = label_ < 0;
  evidence_.resize(probabilities.size());
  const double passed = std::max(0., time - time_);
  const double weight = first ? 1 : 1 - std::exp(-passed / options_.memory);
  const double fresh = first ? 1 : 1 - std::exp(-passed / kConfidenceMemory);
  for (std::size_t i = 0; i < evidence_.size(); ++i)
    evidence_[i] += weight * std::log(std::clamp(probabilities[i], kLeast, 1 - kLeast));
  const auto best = std::max_element(evidence_.begin(), evidence_.end());
  const double highest = *best;
  for (double& value : evidence_) value = std::max(value - highest, -options_.bound);
  time_ = time;
  const bool taken_over = first || evidence_[static_cast<std::size_t>(label_)] < -options_.lead;
  if (taken_over) {
    label_ = static_cast<int>(best - evidence_.begin());
    since_ = time;
  }
  const double even = 1 / static_cast<double>(evidence_.size());
  const double now = std::max<double>(even, probabilities[static_cast<std::size_t>(label_)]);
  confidence_ = taken_over ? now : confidence_ + fresh * (now - confidence_);
}

}  // namespace maskwatch::vision
