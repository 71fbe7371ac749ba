// One label from many uncertain ones: the log probabilities that a classifier gave of one face over
// time, averaged with weights that fade exponentially. The label changes only when another one is
// clearly ahead, so it does not flicker, but follows somebody who puts on a mask.
#pragma once

#include <span>
#include <vector>

namespace vision {

struct VoteOptions {
  double memory = .25;  // seconds after which a vote counts 1/e
  double lead = .7;     // of the mean log probability, before another label takes over
};

class LabelVote {
 public:
  explicit LabelVote(const VoteOptions& options = {}) : options_(options) {}

  // Throws std::invalid_argument for no probabilities or another number than before. Times do not
  // go back.
  void add(double time, std::span<const float> probabilities);

  int label() const { return label_; }  // -1: nothing was added
  // Of the label: its share of the averaged probabilities.
  float confidence() const;
  // When the label became what it is.
  double since() const { return since_; }

 private:
  VoteOptions options_;
  std::vector<double> logs_;  // of each label, weighted mean
  double weight_ = 0, time_ = 0, since_ = 0;
  int label_ = -1;
};

}  // namespace vision
