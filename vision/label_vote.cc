#include "vision/label_vote.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace vision {
namespace {

// One vote, however sure, is worth no more than odds of about 50 to 1.
constexpr float kLeast = .02f;

}  // namespace

void LabelVote::add(double time, std::span<const float> probabilities) {
  if (probabilities.empty() || (!logs_.empty() && logs_.size() != probabilities.size()))
    throw std::invalid_argument(fmt::format("LabelVote::add: {} probabilities after {}",
                                            probabilities.size(), logs_.size()));
  logs_.resize(probabilities.size());
  const double kept = weight_ * std::exp(-std::max(0., time - time_) / options_.memory);
  weight_ = kept + 1;
  for (std::size_t i = 0; i < logs_.size(); ++i) {
    const double vote = std::log(std::clamp(probabilities[i], kLeast, 1 - kLeast));
    logs_[i] += (vote - logs_[i]) / weight_;
  }
  time_ = time;
  const auto best = static_cast<int>(std::max_element(logs_.begin(), logs_.end()) - logs_.begin());
  const double ahead =
      label_ < 0 ? 0
                 : logs_[static_cast<std::size_t>(best)] - logs_[static_cast<std::size_t>(label_)];
  if (label_ < 0 || ahead > options_.lead) {
    label_ = best;
    since_ = time;
  }
}

float LabelVote::confidence() const {
  if (label_ < 0) return 0;
  double sum = 0;
  for (const double log : logs_) sum += std::exp(log);
  return static_cast<float>(std::exp(logs_[static_cast<std::size_t>(label_)]) / sum);
}

}  // namespace vision
