// How often the values of an activation occur, to find the range that it is rounded in.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "nn/graph.h"

namespace maskwatch::nn {

// Values are given twice: first for the extremes, then to be counted between them. 0.0 is not
// counted, for its code is exact.
class ValueHistogram {
 public:
  void add(std::span<const float> values, bool counts);

  ValueRange extremes() const { return extremes_; }
  // So that a share of the values lies outside, half of it on each side.
  ValueRange without(double share) const;
  // Of the least squared error when values are clamped to it and rounded to one of 256.
  ValueRange of_least_error() const;

 private:
  static constexpr std::size_t kBins = 2048;

  double width() const;  // of a bin
  double middle(std::size_t bin) const;
  double error_of(ValueRange range) const;

  ValueRange extremes_;
  std::array<std::int64_t, kBins> counts_ = {};
  std::int64_t count_ = 0;
};

}  // namespace maskwatch::nn
