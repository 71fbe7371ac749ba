#include "apps/common/latency.h"

#include <algorithm>
#include <cmath>

namespace maskwatch::apps {
namespace {

constexpr double kShortest = 1e-6, kStep = .02;  // kStep: of the natural logarithm

}  // namespace

void Latency::add(double seconds) {
  const double bin = std::log(std::max(seconds, kShortest) / kShortest) / kStep;
  ++bins_[std::min(bins_.size() - 1, static_cast<std::size_t>(bin))];
  recent_ = count_ == 0 ? seconds : recent_ + .1 * (seconds - recent_);
  longest_ = std::max(longest_, seconds);
  sum_ += seconds;
  ++count_;
}

double Latency::quantile(double q) const {
  if (count_ == 0) return 0;
  const auto wanted = static_cast<std::int64_t>(std::ceil(q * static_cast<double>(count_)));
  std::int64_t below = 0;
  for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
    below += bins_[bin];
    if (below >= std::max<std::int64_t>(1, wanted))
      return std::min(longest_, kShortest * std::exp(kStep * (static_cast<double>(bin) + .5)));
  }
  return longest_;
}

}  // namespace maskwatch::apps
