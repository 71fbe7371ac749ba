// Anchors of a single-shot detector (Liu et al. 2016): a fixed set of boxes, of which a network
// says how likely each is to be an object and how to move it. Here are their places, which object
// each stands for in training, and the way from a network's numbers to boxes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace maskwatch::nn {

// Edges in pixels; empty unless x0 < x1 and y0 < y1.
struct CornerBox {
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

float area_of(const CornerBox& box);
// Shared area by joint area, 0 to 1; 0 where either box is empty.
float intersection_over_union(const CornerBox& a, const CornerBox& b);

// Centre and size in pixels.
struct Anchor {
  float x = 0, y = 0, width = 0, height = 0;
  CornerBox box() const { return {x - width / 2, y - height / 2, x + width / 2, y + height / 2}; }
};

// One level of a feature pyramid: its stride, and the anchors of a cell by the square root of their
// area in pixels.
struct AnchorLevel {
  int stride = 0;
  std::vector<float> sizes;
};

struct AnchorOptions {
  std::vector<AnchorLevel> levels = {
      {8, {12, 19}}, {16, {30, 48}}, {32, {76, 120}}, {64, {190, 300}}};
  double aspect = 1.2;  // height by width
};

// Level by level, row by row, column by column, size by size. A level of stride s has ceil(side /
// s) cells a side, whose centres lie at (i + 0.5) · s. std::invalid_argument for a picture without
// pixels and for strides, sizes or an aspect that are not positive.
std::vector<Anchor> make_anchors(std::int64_t height, std::int64_t width,
                                 const AnchorOptions& options);

// How far the numbers of a network move an anchor, in shares of its size, and let it grow, as a
// power of e.
inline constexpr double kCenterVariance = 0.1, kSizeVariance = 0.2;
// Sizes grow by no more than e to this: so no number of a network overflows.
inline constexpr double kMaxLogGrowth = 4;

// The box that the four numbers `code` (x, y, width, height) make of an anchor.
CornerBox decode_box(const float* code, const Anchor& anchor);

// Instead of the number of a class:
inline constexpr int kIgnoredRegion = -1;  // whether faces are here is not known
inline constexpr int kUnknownClass = -2;   // a face, but not known of which class

struct SsdTarget {
  CornerBox box;  // in pixels of the network's input; may reach beyond its edges
  int label = 0;
};

struct MatchOptions {
  double positive = 0.4;  // at this overlap or more an anchor stands for a face
  double ignored = 0.3;   // between this and `positive` it stands for nothing
  // An anchor of which this share lies in an ignored region stands for nothing.
  double inside_ignored = 0.5;
};

// What an anchor stands for: a target's index, or one of these.
inline constexpr int kBackground = -1;
inline constexpr int kNothing = -2;  // takes no part in the loss

// For each anchor the target that it overlaps most, if enough. The best anchor of each face stands
// for that face however little it overlaps; of two faces with the same best anchor, it is the one
// that overlaps more, and the first if neither does. The best anchor of an ignored region stands
// for nothing if it stood for the background. Empty boxes match nothing.
std::vector<int> match_anchors(std::span<const Anchor> anchors, std::span<const SsdTarget> targets,
                               const MatchOptions& options = {});

// A face found: probabilities of the classes sum to 1.
struct SsdBox {
  CornerBox box;
  float score = 0;  // probability of a face
  std::vector<float> probabilities;
};

// Boxes of the anchors whose score is at least `min_score`, in the order of the anchors. `outputs`
// holds a row for each anchor: 4 numbers of the box, the logit of the face, the logits of the
// classes. std::invalid_argument unless rows are equally long and have at least one class.
std::vector<SsdBox> decode(std::span<const float> outputs, std::span<const Anchor> anchors,
                           float min_score);

struct SuppressionOptions {
  float max_overlap = 0.45f;       // boxes that overlap a surer one by more are dropped
  std::size_t candidates = 20000;  // boxes beyond so many surest are not looked at
};

// Non-maximum suppression: surest first, of equal scores the earlier one. Corners and probabilities
// of a box that stays become the mean over it and the boxes dropped for it, weighted by score (box
// voting: Gidaris and Komodakis, "Object detection via a multi-region and semantic segmentation-
// aware CNN model", 2015). So two boxes that stay may overlap by more than `max_overlap`.
std::vector<SsdBox> suppress(std::vector<SsdBox> boxes, const SuppressionOptions& options = {});

}  // namespace maskwatch::nn
