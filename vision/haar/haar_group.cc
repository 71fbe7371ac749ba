#include "vision/haar/haar_group.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>

namespace maskwatch::vision {
namespace {

bool alike(const HaarWindow& a, const HaarWindow& b, double eps) {
  const double delta = eps * (std::min(a.width, b.width) + std::min(a.height, b.height)) * 0.5;
  return std::abs(a.x - b.x) <= delta && std::abs(a.y - b.y) <= delta &&
         std::abs(a.x + a.width - b.x - b.width) <= delta &&
         std::abs(a.y + a.height - b.y - b.height) <= delta;
}

class DisjointSets {
 public:
  explicit DisjointSets(std::size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  int find(int i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(int a, int b) { parent_[find(a)] = find(b); }

 private:
  std::vector<int> parent_;
};

// The number of each window's class; classes are numbered as they first appear.
std::vector<int> classes(const std::vector<HaarWindow>& windows, double eps) {
  std::vector<int> by_x(windows.size());
  std::iota(by_x.begin(), by_x.end(), 0);
  std::stable_sort(by_x.begin(), by_x.end(),
                   [&](int a, int b) { return windows[a].x < windows[b].x; });
  DisjointSets sets(windows.size());
  for (std::size_t i = 0; i < by_x.size(); ++i) {
    const HaarWindow& a = windows[by_x[i]];
    const double reach = eps * (a.width + a.height) * 0.5;
    for (std::size_t j = i + 1; j < by_x.size() && windows[by_x[j]].x - a.x <= reach; ++j) {
      if (alike(a, windows[by_x[j]], eps)) sets.join(by_x[i], by_x[j]);
    }
  }
  std::vector<int> number(windows.size(), -1), label(windows.size());
  int next = 0;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    int& root = number[sets.find(static_cast<int>(i))];
    if (root < 0) root = next++;
    label[i] = root;
  }
  return label;
}

// Half to even, in the float arithmetic that OpenCV uses.
int mean(std::int64_t sum, float inverse) {
  return static_cast<int>(std::lrint(static_cast<float>(sum) * inverse));
}

std::vector<HaarGroup> means(const std::vector<HaarWindow>& windows, double eps) {
  struct Sum {
    std::int64_t x = 0, y = 0, width = 0, height = 0;
    int count = 0;
  };
  std::vector<Sum> sums;
  const std::vector<int> label = classes(windows, eps);
  for (std::size_t i = 0; i < windows.size(); ++i) {
    if (static_cast<std::size_t>(label[i]) == sums.size()) sums.emplace_back();
    Sum& sum = sums[label[i]];
    const HaarWindow& w = windows[i];
    sum = {sum.x + w.x, sum.y + w.y, sum.width + w.width, sum.height + w.height, sum.count + 1};
  }
  std::vector<HaarGroup> groups;
  for (const Sum& sum : sums) {
    const float inverse = 1.0f / static_cast<float>(sum.count);
    groups.push_back({{mean(sum.x, inverse), mean(sum.y, inverse), mean(sum.width, inverse),
                       mean(sum.height, inverse)},
                      sum.count});
  }
  return groups;
}

// Whether `inner` lies within `outer`, give or take `eps` of its size, and is clearly the poorer.
bool swallowed(const HaarGroup& inner, const HaarGroup& outer, double eps) {
  const HaarWindow &a = inner.box, &b = outer.box;
  const int dx = static_cast<int>(std::lrint(b.width * eps));
  const int dy = static_cast<int>(std::lrint(b.height * eps));
  return a.x >= b.x - dx && a.y >= b.y - dy && a.x + a.width <= b.x + b.width + dx &&
         a.y + a.height <= b.y + b.height + dy &&
         (outer.windows > std::max(3, inner.windows) || inner.windows < 3);
}

}  // namespace

std::vector<HaarGroup> group_windows(const std::vector<HaarWindow>& windows, int threshold,
                                     double eps) {
  std::vector<HaarGroup> kept;
  if (threshold <= 0) {
    for (const HaarWindow& window : windows) kept.push_back({window, 1});
    return kept;
  }
  std::vector<HaarGroup> groups = means(windows, eps);
  std::erase_if(groups, [&](const HaarGroup& group) { return group.windows <= threshold; });
  for (const HaarGroup& group : groups) {
    const bool drop = std::any_of(groups.begin(), groups.end(), [&](const HaarGroup& other) {
      return &other != &group && swallowed(group, other, eps);
    });
    if (!drop) kept.push_back(group);
  }
  return kept;
}

}  // namespace maskwatch::vision
