// One label from many uncertain ones: the evidence that a classifier gives of one face over time is
// added up, as log odds, up to a bound. Confident evidence changes the label within a few
// frames (somebody puts a mask on); wavering evidence does not make it flicker.
#pragma once

#include <span>
#include <vector>

namespace maskwatch::vision {

struct VoteOptions {
  double memory = .06;  // seconds between frames that say something new: nearer ones count less
  double bound = 3;     // how far, in log odds, a label can fall behind the leading one
  double lead = 1.5;    // log odds by which another label must be ahead to take over
};

class LabelVote {
 public:
  explicit LabelVote(const VoteOptions& options = {}) : options_(options) {}

  // Throws std::invalid_argument for no probabilities or another number than before. Times do not
  // go back.
  void add(double time, std::span<const float> probabilities);

  int label() const { return label_; }  // -1: nothing was added
  // The probability of the label, averaged over the last half second of it. Looks that speak for
  // another label count as undecided (1/2 of two labels): the vote is about them.
  float confidence() const { return static_cast<float>(confidence_); }
  // When the label became what it is.
  double since() const { return since_; }

 private:
  VoteOptions options_;
  std::vector<double> evidence_;  // of each label; the leading one's is 0
  double confidence_ = 0;
  double time_ = 0, since_ = 0;
  int label_ = -1;
};

}  // namespace maskwatch::vision
