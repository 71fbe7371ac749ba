#include "nn/anchors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "kernels/ref/loss.h"
#include "kernels/scalar.h"

namespace maskwatch::nn {
namespace {

float shared_area(const CornerBox& a, const CornerBox& b) {
  return area_of(
      {std::max(a.x0, b.x0), std::max(a.y0, b.y0), std::min(a.x1, b.x1), std::min(a.y1, b.y1)});
}

void check(const AnchorOptions& options) {
  const auto require_positive = [](double value, const char* what) {
    if (!(value > 0))
      throw std::invalid_argument(fmt::format("make_anchors: {} {} is not positive", what, value));
  };
  require_positive(options.aspect, "aspect");
  for (const AnchorLevel& level : options.levels) {
    require_positive(level.stride, "stride");
    for (const float size : level.sizes) require_positive(size, "size");
  }
}

// The anchor that overlaps a box most, the first of equals; overlap 0: none does.
struct Best {
  std::size_t anchor = 0;
  float overlap = 0;
};

// Calls look(anchor's index, overlap) for all anchors.
template <typename Look>
Best look_at_overlaps(std::span<const Anchor> anchors, const CornerBox& box, const Look& look) {
  Best best;
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    const float overlap = intersection_over_union(anchors[i].box(), box);
    if (overlap > best.overlap) best = {i, overlap};
    look(i, overlap);
  }
  return best;
}

void match_faces(std::span<const Anchor> anchors, std::span<const SsdTarget> targets,
                 const MatchOptions& options, std::vector<int>& matches) {
  std::vector<float> most(anchors.size(), 0.0f);
  std::vector<std::pair<Best, int>> bests;
  for (std::size_t t = 0; t < targets.size(); ++t) {
    if (targets[t].label == kIgnoredRegion) continue;
    const int face = static_cast<int>(t);
    const Best best = look_at_overlaps(anchors, targets[t].box, [&](std::size_t i, float overlap) {
      if (overlap <= most[i]) return;
      most[i] = overlap;
      if (overlap >= options.positive)
        matches[i] = face;
      else if (overlap >= options.ignored)
        matches[i] = kNothing;
    });
    if (best.overlap > 0) bests.emplace_back(best, face);
  }
  std::vector<float> forced(anchors.size(), 0.0f);
  for (const auto& [best, face] : bests) {
    if (best.overlap <= forced[best.anchor]) continue;
    forced[best.anchor] = best.overlap;
    matches[best.anchor] = face;
  }
}

void leave_out_ignored(std::span<const Anchor> anchors, std::span<const SsdTarget> targets,
                       const MatchOptions& options, std::vector<int>& matches) {
  const auto leave_out = [&](std::size_t i) {
    if (matches[i] == kBackground) matches[i] = kNothing;
  };
  for (const SsdTarget& target : targets) {
    if (target.label != kIgnoredRegion) continue;
    const Best best = look_at_overlaps(anchors, target.box, [&](std::size_t i, float overlap) {
      const CornerBox anchor = anchors[i].box();
      if (overlap >= options.ignored ||
          (overlap > 0 &&
           shared_area(anchor, target.box) >= options.inside_ignored * area_of(anchor)))
        leave_out(i);
    });
    if (best.overlap > 0) leave_out(best.anchor);
  }
}

std::vector<float> probabilities_of(std::span<const float> logits) {
  std::vector<float> probabilities(logits.size());
  kernels::ref::softmax_row(probabilities.data(), logits.data(), std::ssize(logits));
  return probabilities;
}

// Weighted means of boxes and of their probabilities, as they grow.
struct Votes {
  std::array<double, 4> corners{};
  std::vector<double> sums;
  double weight = 0;

  void add(const SsdBox& box) {
    sums.resize(box.probabilities.size(), 0.0);
    const double share = std::max(static_cast<double>(box.score), 1e-30);
    const auto& [x0, y0, x1, y1] = box.box;
    corners[0] += share * x0;
    corners[1] += share * y0;
    corners[2] += share * x1;
    corners[3] += share * y1;
    for (std::size_t c = 0; c < sums.size(); ++c) sums[c] += share * box.probabilities[c];
    weight += share;
  }

  void write_means(SsdBox& box) const {
    const auto mean = [&](double sum) { return static_cast<float>(sum / weight); };
    box.box = {mean(corners[0]), mean(corners[1]), mean(corners[2]), mean(corners[3])};
    for (std::size_t c = 0; c < sums.size(); ++c) box.probabilities[c] = mean(sums[c]);
  }
};

}  // namespace

float area_of(const CornerBox& box) {
  return std::max(box.x1 - box.x0, 0.0f) * std::max(box.y1 - box.y0, 0.0f);
}

float intersection_over_union(const CornerBox& a, const CornerBox& b) {
  const float shared = shared_area(a, b);
  return shared > 0 ? shared / (area_of(a) + area_of(b) - shared) : 0;
}

std::vector<Anchor> make_anchors(std::int64_t height, std::int64_t width,
                                 const AnchorOptions& options) {
  check(options);
  if (height < 1 || width < 1)
    throw std::invalid_argument(fmt::format("make_anchors: a picture of {}x{}", width, height));
  const auto stretch = static_cast<float>(std::sqrt(options.aspect));
  std::vector<Anchor> anchors;
  for (const AnchorLevel& level : options.levels) {
    const std::int64_t rows = (height + level.stride - 1) / level.stride;
    const std::int64_t columns = (width + level.stride - 1) / level.stride;
    const auto centre = [&](std::int64_t cell) {
      return (static_cast<float>(cell) + 0.5f) * static_cast<float>(level.stride);
    };
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t column = 0; column < columns; ++column)
        for (const float size : level.sizes)
          anchors.push_back({centre(column), centre(row), size / stretch, size * stretch});
  }
  return anchors;
}

CornerBox decode_box(const float* code, const Anchor& anchor) {
  constexpr auto center = static_cast<float>(kCenterVariance);
  const auto grown = [&](float length, float number) {
    const double growth = std::min(number * kSizeVariance, kMaxLogGrowth);
    return length * static_cast<float>(std::exp(growth));
  };
  return Anchor{anchor.x + code[0] * center * anchor.width,
                anchor.y + code[1] * center * anchor.height, grown(anchor.width, code[2]),
                grown(anchor.height, code[3])}
      .box();
}

std::vector<int> match_anchors(std::span<const Anchor> anchors, std::span<const SsdTarget> targets,
                               const MatchOptions& options) {
  std::vector<int> matches(anchors.size(), kBackground);
  match_faces(anchors, targets, options, matches);
  leave_out_ignored(anchors, targets, options, matches);
  return matches;
}

std::vector<SsdBox> decode(std::span<const float> outputs, std::span<const Anchor> anchors,
                           float min_score) {
  const std::size_t row = anchors.empty() ? 0 : outputs.size() / anchors.size();
  if (row * anchors.size() != outputs.size() || (!anchors.empty() && row < 6))
    throw std::invalid_argument(
        fmt::format("decode: {} numbers for {} anchors", outputs.size(), anchors.size()));
  // Nearly all anchors see nothing: what is clearly below is not worth an exponential function.
  const double p = min_score;
  const float least = p > 0 && p < 1 ? static_cast<float>(std::log(p / (1 - p)) - 0.01)
                                     : -std::numeric_limits<float>::infinity();
  std::vector<SsdBox> boxes;
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    const std::span<const float> numbers = outputs.subspan(i * row, row);
    if (numbers[4] < least) continue;
    const float score = kernels::scalar::sigmoid(numbers[4]);
    if (score >= min_score)
      boxes.push_back(
          {decode_box(numbers.data(), anchors[i]), score, probabilities_of(numbers.subspan(5))});
  }
  return boxes;
}

std::vector<SsdBox> suppress(std::vector<SsdBox> boxes, const SuppressionOptions& options) {
  std::stable_sort(boxes.begin(), boxes.end(),
                   [](const SsdBox& a, const SsdBox& b) { return a.score > b.score; });
  if (boxes.size() > options.candidates) boxes.resize(options.candidates);
  std::vector<SsdBox> kept;
  std::vector<Votes> votes;
  for (SsdBox& next : boxes) {
    bool hidden = false;
    for (std::size_t k = 0; k < kept.size() && !hidden; ++k) {
      hidden = intersection_over_union(kept[k].box, next.box) > options.max_overlap;
      if (hidden) votes[k].add(next);
    }
    if (hidden) continue;
    votes.emplace_back().add(next);
    kept.push_back(std::move(next));
  }
  for (std::size_t k = 0; k < kept.size(); ++k) votes[k].write_means(kept[k]);
  return kept;
}

}  // namespace maskwatch::nn
