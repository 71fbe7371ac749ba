#include "vision/haar/haar_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace maskwatch::vision {
namespace {

// Floats hold every whole number up to here.
constexpr double kExactFloat = 1 << 24;

struct Corner {
  int x = 0;
  int y = 0;
  int sign = 0;
};

std::array<Corner, 4> corners(const HaarRect& r, bool tilted) {
  if (tilted) {
    return {{{r.x, r.y, 1},
             {r.x - r.height, r.y + r.height, -1},
             {r.x + r.width, r.y + r.width, -1},
             {r.x + r.width - r.height, r.y + r.width + r.height, 1}}};
  }
  return {{{r.x, r.y, 1},
           {r.x + r.width, r.y, -1},
           {r.x, r.y + r.height, -1},
           {r.x + r.width, r.y + r.height, 1}}};
}

bool sums_exactly(const HaarFeature& feature) {
  double largest = 0;
  for (const HaarRect& r : feature.rects) {
    if (r.weight != std::trunc(r.weight)) return false;
    const double pixels = (feature.tilted ? 2.0 : 1.0) * r.width * r.height;
    largest += std::abs(r.weight) * pixels * 255;
  }
  return largest < kExactFloat;
}

using Groups = std::map<int, std::vector<std::int32_t>>;

// Numbers of corners by their weight, corners of weight 0 left out.
Groups corners_by_weight(const HaarFeature& feature, const HaarPlan& plan) {
  std::map<std::int32_t, int> weights;
  for (const HaarRect& r : feature.rects) {
    for (const Corner& c : corners(r, feature.tilted)) {
      weights[plan.corner(c.x, c.y, feature.tilted)] += c.sign * static_cast<int>(r.weight);
    }
  }
  Groups groups;
  for (const auto& [corner, weight] : weights) {
    if (weight != 0) groups[weight].push_back(corner);
  }
  return groups;
}

void fill_corners(HaarProbe& probe,
                  std::initializer_list<const std::vector<std::int32_t>*> groups) {
  std::int32_t* at = probe.corner;
  for (const auto* group : groups) at = std::copy(group->begin(), group->end(), at);
}

bool fill_nine(HaarProbe& probe, const Groups& groups) {
  for (const int sign : {1, -1}) {
    const auto one = groups.find(sign), two = groups.find(-2 * sign), four = groups.find(4 * sign);
    if (groups.size() != 3 || one == groups.end() || two == groups.end() || four == groups.end()) {
      continue;
    }
    if (one->second.size() != 4 || two->second.size() != 4 || four->second.size() != 1) continue;
    probe.pattern = HaarPattern::kNine;
    probe.scale = sign;
    fill_corners(probe, {&one->second, &two->second, &four->second});
    return true;
  }
  return false;
}

bool fill_six_or_eight(HaarProbe& probe, const Groups& groups) {
  if (groups.size() != 4 || !groups.contains(1) || !groups.contains(-1)) return false;
  const int scale = groups.rbegin()->first;
  if (groups.begin()->first != -scale) return false;
  const auto &plus = groups.at(1), &minus = groups.at(-1);
  const auto &more = groups.at(scale), &less = groups.at(-scale);
  if (plus.size() != 2 || minus.size() != 2 || more.size() != less.size()) return false;
  if (more.size() > 2) return false;
  probe.pattern = more.size() == 1 ? HaarPattern::kSix : HaarPattern::kEight;
  probe.scale = scale;
  fill_corners(probe, {&plus, &minus, &more, &less});
  return true;
}

void fill_rects(HaarProbe& probe, const HaarFeature& feature, const HaarPlan& plan) {
  probe.pattern = HaarPattern::kRects;
  for (std::size_t r = 0; r < feature.rects.size(); ++r) {
    const auto corner = corners(feature.rects[r], feature.tilted);
    for (int c = 0; c < 4; ++c) {
      probe.corner[4 * r + c] = plan.corner(corner[c].x, corner[c].y, feature.tilted);
    }
    probe.weight[r] = feature.rects[r].weight;
  }
}

HaarProbe make_probe(const HaarNode& node, const HaarTree& tree, const HaarFeature& feature,
                     const HaarPlan& plan) {
  HaarProbe probe;
  bool filled = false;
  if (sums_exactly(feature)) {
    const auto groups = corners_by_weight(feature, plan);
    filled = fill_nine(probe, groups) || fill_six_or_eight(probe, groups);
  }
  if (!filled) fill_rects(probe, feature, plan);
  probe.threshold = node.threshold;
  probe.left = node.left;
  probe.right = node.right;
  if (node.left <= 0) probe.left_leaf = tree.leaves[-node.left];
  if (node.right <= 0) probe.right_leaf = tree.leaves[-node.right];
  return probe;
}

// Recursive summation of n floats errs by at most n u sum |term| (Higham, "Accuracy and stability
// of numerical algorithms", 2002, section 4.2), with room for rounding of the bounds themselves.
void set_bounds(HaarStagePlan& stage, const HaarStage& source) {
  double magnitude = 0;
  for (const HaarTree& tree : source.trees) {
    double largest = 0;
    for (const float leaf : tree.leaves) largest = std::max(largest, std::abs(double{leaf}));
    magnitude += largest;
  }
  const double n = static_cast<double>(source.trees.size());
  const double error = 1.01 * n * 0x1p-24 * magnitude;
  const float infinity = std::numeric_limits<float>::infinity();
  stage.threshold = source.threshold;
  stage.surely = std::nextafter(static_cast<float>(source.threshold + error), infinity);
  stage.perhaps = std::nextafter(static_cast<float>(source.threshold - error), -infinity);
}

using TreeProbes = std::vector<HaarProbe>;

bool by_patterns(const TreeProbes& a, const TreeProbes& b) {
  return std::lexicographical_compare(
      a.begin(), a.end(), b.begin(), b.end(),
      [](const HaarProbe& p, const HaarProbe& q) { return p.pattern < q.pattern; });
}

HaarStagePlan plan_stage(const HaarStage& source, const HaarModel& model, const HaarPlan& plan) {
  std::vector<TreeProbes> trees;
  for (const HaarTree& tree : source.trees) {
    trees.emplace_back();
    for (const HaarNode& node : tree.nodes) {
      trees.back().push_back(make_probe(node, tree, model.features[node.feature], plan));
    }
  }
  HaarStagePlan stage;
  stage.file_order.resize(trees.size());
  std::iota(stage.file_order.begin(), stage.file_order.end(), 0);
  std::stable_sort(stage.file_order.begin(), stage.file_order.end(),
                   [&](int a, int b) { return by_patterns(trees[a], trees[b]); });
  for (const int number : stage.file_order) {
    const TreeProbes& tree = trees[number];
    stage.probes.insert(stage.probes.end(), tree.begin(), tree.end());
    stage.tree_sizes.push_back(static_cast<int>(tree.size()));
  }
  if (stage.probes.size() == trees.size()) {
    stage.tree_sizes.clear();
    for (const HaarProbe& probe : stage.probes)
      ++stage.pattern_end[static_cast<int>(probe.pattern)];
    std::partial_sum(stage.pattern_end.begin(), stage.pattern_end.end(), stage.pattern_end.begin());
  }
  set_bounds(stage, source);
  return stage;
}

// The least float f for which area * f in double is not below 0.1.
float flatness_limit(double area) {
  float limit = static_cast<float>(0.1 / area);
  while (area * limit >= 0.1) limit = std::nextafter(limit, 0.0f);
  while (area * limit < 0.1) limit = std::nextafter(limit, 1.0f);
  return limit;
}

// A product in double cannot be fused with the float addition that follows it.
float rounded_product(float a, float b) { return static_cast<float>(double{a} * double{b}); }

float leaf_of(const HaarProbe* tree, const std::int32_t* window, float inverse_deviation) {
  int at = 0;
  while (true) {
    const HaarProbe& probe = tree[at];
    const float value = haar_feature_value(probe, window) * inverse_deviation;
    const bool left = value < probe.threshold;
    at = left ? probe.left : probe.right;
    if (at <= 0) return left ? probe.left_leaf : probe.right_leaf;
  }
}

}  // namespace

HaarPlan::HaarPlan(const HaarModel& model)
    : width(model.width), height(model.height), tilted(model.tilted) {
  for (const HaarStage& stage : model.stages) {
    stages.push_back(plan_stage(stage, model, *this));
    for (const int size : stages.back().tree_sizes) max_tree_nodes = std::max(max_tree_nodes, size);
  }
  const HaarRect norm{1, 1, width - 2, height - 2, 1};
  const auto c = corners(norm, false);
  for (int i = 0; i < 4; ++i) norm_corner[i] = corner(c[i].x, c[i].y, false);
  norm_area = static_cast<double>(norm.width) * norm.height;
  norm_limit = flatness_limit(norm_area);
}

HaarLayout::HaarLayout(const HaarPlan& source, int row_step, int row_stride, std::int32_t offset)
    : plan(source), step(row_step), stride(row_stride), tilted_offset(offset) {
  std::vector<std::int32_t> offset_of;
  for (const std::int32_t start : {0, tilted_offset}) {
    for (int y = 0; y <= plan.height; ++y) {
      for (int x = 0; x <= plan.width; ++x) {
        const int column = step == 1 ? x : x / 2 + (x % 2) * (stride / 2);
        offset_of.push_back(start + y * stride + column);
      }
    }
  }
  for (std::int32_t& corner : plan.norm_corner) corner = offset_of[corner];
  for (HaarStagePlan& stage : plan.stages) {
    for (HaarProbe& probe : stage.probes) {
      for (std::int32_t& corner : probe.corner) corner = offset_of[corner];
    }
  }
}

float haar_feature_value(const HaarProbe& probe, const std::int32_t* window) {
  const auto at = [&](int i) { return window[probe.corner[i]]; };
  // Sums of large pictures wrap around; differences over a window do not.
  const auto sum = [&](std::initializer_list<int> plus, std::initializer_list<int> minus) {
    std::uint32_t total = 0;
    for (const int i : plus) total += static_cast<std::uint32_t>(at(i));
    for (const int i : minus) total -= static_cast<std::uint32_t>(at(i));
    return total;
  };
  const auto scaled = [&](std::uint32_t value) {
    return value * static_cast<std::uint32_t>(probe.scale);
  };
  std::uint32_t value = 0;
  switch (probe.pattern) {
    case HaarPattern::kSix:
      value = sum({0, 1}, {2, 3}) + scaled(sum({4}, {5}));
      break;
    case HaarPattern::kEight:
      value = sum({0, 1}, {2, 3}) + scaled(sum({4, 5}, {6, 7}));
      break;
    case HaarPattern::kNine:
      value = scaled(sum({0, 1, 2, 3}, {}) - 2 * sum({4, 5, 6, 7}, {8, 8}));
      break;
    case HaarPattern::kRects: {
      float total = 0;
      for (int r = 0; r < 3; ++r) {
        if (probe.weight[r] == 0) continue;
        const auto pixels =
            static_cast<std::int32_t>(sum({4 * r, 4 * r + 3}, {4 * r + 1, 4 * r + 2}));
        total += rounded_product(probe.weight[r], static_cast<float>(pixels));
      }
      return total;
    }
  }
  return static_cast<float>(static_cast<std::int32_t>(value));
}

double haar_stage_sum(const HaarStagePlan& stage, const std::int32_t* window,
                      float inverse_deviation) {
  std::vector<float> leaves(stage.file_order.size());
  const HaarProbe* tree = stage.probes.data();
  for (std::size_t t = 0; t < leaves.size(); ++t) {
    leaves[stage.file_order[t]] = leaf_of(tree, window, inverse_deviation);
    tree += stage.tree_sizes.empty() ? 1 : stage.tree_sizes[t];
  }
  return std::accumulate(leaves.begin(), leaves.end(), 0.0);
}

}  // namespace maskwatch::vision
