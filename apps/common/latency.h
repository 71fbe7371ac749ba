// How long something takes, over any number of times in a fixed amount of memory: a histogram whose
// bins are 2 % apart, from a microsecond to a quarter of an hour.
#pragma once

#include <array>
#include <cstdint>

namespace maskwatch::apps {

class Latency {
 public:
  void add(double seconds);
  std::int64_t count() const { return count_; }
  // The time below which the share `q` of all lies, to within 1 %; 0 where nothing was added.
  double quantile(double q) const;
  double median() const { return quantile(.5); }
  double longest() const { return longest_; }
  // Of all, in seconds.
  double sum() const { return sum_; }
  // Of the latest few; fades within about 20.
  double recent() const { return recent_; }

 private:
  std::array<std::int64_t, 1050> bins_{};
  std::int64_t count_ = 0;
  double longest_ = 0, recent_ = 0, sum_ = 0;
};

}  // namespace maskwatch::apps
