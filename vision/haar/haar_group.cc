#include "vision/haar/haar_group.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <numeric>
#include <stdexcept>
#include <utility>

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

// The span of the differences b - a of two edges' places, where b's side is `longer` by so much:
// both ends of the sides must lie within `delta` of each other.
struct Span {
  double low, high;
  Span(double delta, int longer)
      : low(std::max(-delta, -delta - longer)), high(std::min(delta, delta - longer)) {}
};

// The windows of one size, in square cells so small that all windows of a cell are alike.
class Layer {
 public:
  struct Cell {
    std::vector<int> windows;
    int left = INT_MAX, right = INT_MIN, top = INT_MAX, bottom = INT_MIN;  // of their corners
  };

  Layer(int width, int height, double eps)
      : width_(width),
        height_(height),
        side_(static_cast<int>(std::min(eps * (width + height) * 0.5, 1e9)) + 1) {}

  void add(int number, const HaarWindow& window) {
    Cell& cell = cells_[{cell_of(window.y), cell_of(window.x)}];
    cell.windows.push_back(number);
    cell.left = std::min(cell.left, window.x);
    cell.right = std::max(cell.right, window.x);
    cell.top = std::min(cell.top, window.y);
    cell.bottom = std::max(cell.bottom, window.y);
  }

  int width() const { return width_; }
  int height() const { return height_; }
  const auto& cells() const { return cells_; }

  // body(cell) for the cells that may hold windows with corners in this part of the picture.
  template <class Body>
  void for_cells(double left, double right, double top, double bottom, const Body& body) const {
    for (int row = cell_of(top); row <= cell_of(bottom); ++row) {
      const auto end = cells_.upper_bound({row, cell_of(right)});
      for (auto it = cells_.lower_bound({row, cell_of(left)}); it != end; ++it)
        if (it->second.right >= left && it->second.left <= right && it->second.bottom >= top &&
            it->second.top <= bottom)
          body(it->second);
    }
  }

 private:
  int cell_of(double at) const { return static_cast<int>(std::floor(at / side_)); }

  int width_, height_, side_;
  std::map<std::pair<int, int>, Cell> cells_;  // by row and column
};

// The number of each window's class; classes are numbered as they first appear. A cell is one class
// from the start, so two cells are done with as soon as one pair of their windows is alike: the
// time grows with the number of windows, not with that of alike pairs.
class Classes {
 public:
  Classes(const std::vector<HaarWindow>& windows, double eps)
      : windows_(windows), eps_(eps), sets_(windows.size()) {
    std::map<std::pair<int, int>, Layer> layers;
    for (std::size_t i = 0; i < windows.size(); ++i) {
      const HaarWindow& w = windows[i];
      layers.try_emplace({w.width, w.height}, w.width, w.height, eps)
          .first->second.add(static_cast<int>(i), w);
    }
    for (auto a = layers.begin(); a != layers.end(); ++a) {
      for (const auto& [place, cell] : a->second.cells())
        for (const int window : cell.windows) sets_.join(window, cell.windows.front());
      for (auto b = a; b != layers.end(); ++b) join(a->second, b->second);
    }
  }

  std::vector<int> numbers() {
    std::vector<int> number(windows_.size(), -1), label(windows_.size());
    int next = 0;
    for (std::size_t i = 0; i < windows_.size(); ++i) {
      int& root = number[sets_.find(static_cast<int>(i))];
      if (root < 0) root = next++;
      label[i] = root;
    }
    return label;
  }

 private:
  void join(const Layer& a, const Layer& b) {
    const double delta =
        eps_ * (std::min(a.width(), b.width()) + std::min(a.height(), b.height())) * 0.5;
    const Span x(delta, b.width() - a.width()), y(delta, b.height() - a.height());
    if (x.low > x.high || y.low > y.high) return;
    for (const auto& entry : a.cells()) {
      const Layer::Cell& cell = entry.second;
      b.for_cells(cell.left + x.low, cell.right + x.high, cell.top + y.low, cell.bottom + y.high,
                  [&](const Layer::Cell& other) { join(cell, other); });
    }
  }

  void join(const Layer::Cell& a, const Layer::Cell& b) {
    if (sets_.find(a.windows.front()) == sets_.find(b.windows.front())) return;
    for (const int i : a.windows)
      for (const int j : b.windows)
        if (alike(windows_[i], windows_[j], eps_)) return sets_.join(i, j);
  }

  const std::vector<HaarWindow>& windows_;
  const double eps_;
  DisjointSets sets_;
};

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
  const std::vector<int> label = window_classes(windows, eps);
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

std::vector<int> window_classes(const std::vector<HaarWindow>& windows, double eps) {
  return Classes(windows, eps).numbers();
}

std::vector<HaarGroup> group_windows(const std::vector<HaarWindow>& windows, int threshold,
                                     double eps) {
  std::vector<HaarGroup> kept;
  if (threshold <= 0) {
    for (const HaarWindow& window : windows) kept.push_back({window, 1});
    return kept;
  }
  std::vector<HaarGroup> groups = means(windows, eps);
  std::erase_if(groups, [&](const HaarGroup& group) { return group.windows <= threshold; });
  if (groups.size() > kMaxHaarGroups)
    throw std::runtime_error("finds more than " + std::to_string(kMaxHaarGroups) +
                             " things in one picture");
  for (const HaarGroup& group : groups) {
    const bool drop = std::any_of(groups.begin(), groups.end(), [&](const HaarGroup& other) {
      return &other != &group && swallowed(group, other, eps);
    });
    if (!drop) kept.push_back(group);
  }
  return kept;
}

}  // namespace maskwatch::vision
