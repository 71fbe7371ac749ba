#include "nn/value_histogram.h"

#include <algorithm>
#include <cmath>

namespace maskwatch::nn {

double ValueHistogram::width() const {
  return (static_cast<double>(extremes_.most) - static_cast<double>(extremes_.least)) / kBins;
}

double ValueHistogram::middle(std::size_t bin) const {
  return static_cast<double>(extremes_.least) + (static_cast<double>(bin) + 0.5) * width();
}

void ValueHistogram::add(std::span<const float> values, bool counts) {
  if (!counts) {
    for (const float x : values) {
      extremes_.least = std::min(extremes_.least, x);
      extremes_.most = std::max(extremes_.most, x);
    }
    return;
  }
  if (!(width() > 0)) return;
  const float least = extremes_.least, per_value = static_cast<float>(1 / width());
  for (const float x : values) {
    if (x == 0 || !std::isfinite(x)) continue;
    const auto bin = static_cast<std::int64_t>((x - least) * per_value);
    ++counts_[static_cast<std::size_t>(std::clamp<std::int64_t>(bin, 0, kBins - 1))];
    ++count_;
  }
}

ValueRange ValueHistogram::without(double share) const {
  const double most_left_out = static_cast<double>(count_) * share / 2;
  const auto edge = [&](bool from_above) {
    double passed = 0;
    for (std::size_t i = 0; i < kBins; ++i) {
      const std::size_t bin = from_above ? kBins - 1 - i : i;
      passed += static_cast<double>(counts_[bin]);
      if (passed > most_left_out) return middle(bin) + (from_above ? 0.5 : -0.5) * width();
    }
    return 0.0;
  };
  return {std::min(0.0f, static_cast<float>(edge(false))),
          std::max(0.0f, static_cast<float>(edge(true)))};
}

double ValueHistogram::error_of(ValueRange range) const {
  const double least = static_cast<double>(range.least), most = static_cast<double>(range.most);
  const double step = (most - least) / 255, of_rounding = step * step / 12;
  double sum = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    if (counts_[bin] == 0) continue;
    const double x = middle(bin), clamped = std::clamp(x, least, most);
    sum += static_cast<double>(counts_[bin]) * (of_rounding + (x - clamped) * (x - clamped));
  }
  return sum;
}

// One end after the other, each in steps towards 0, until neither gains.
ValueRange ValueHistogram::of_least_error() const {
  constexpr int kSteps = 100;
  ValueRange best = extremes_;
  double least_error = error_of(best);
  for (bool gained = true; gained;) {
    gained = false;
    for (const bool above : {true, false})
      for (int i = 1; i < kSteps; ++i) {
        ValueRange range = best;
        (above ? range.most : range.least) =
            (above ? extremes_.most : extremes_.least) * static_cast<float>(i) / kSteps;
        const double error = error_of(range);
        if (error >= least_error) continue;
        best = range;
        least_error = error;
        gained = true;
      }
  }
  return best;
}

}  // namespace maskwatch::nn
