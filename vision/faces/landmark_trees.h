// The regression trees behind vision/faces/landmarks.h: a cascade of forests, each of which looks
// at pixels that move with the shape found so far, and adds one leaf of each of its trees to it. A
// shape is x0, y0, x1, y1, ... in shares of the face's box.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vision/faces/landmarks.h"

namespace maskwatch::vision {

inline constexpr std::size_t kShapeSize = 136;
using Shape = std::array<float, kShapeSize>;

// Left child of node i is 2i + 1, right 2i + 2; left is taken when the difference exceeds the
// threshold.
struct LandmarkSplit {
  std::uint32_t first = 0;  // of the forest's pixels
  std::uint32_t second = 0;
  float threshold = 0;
};

struct LandmarkTree {
  std::uint32_t first_split = 0;
  std::uint32_t splits = 0;  // 2^depth - 1
  std::uint32_t first_leaf = 0;
};

struct LandmarkForest {
  std::vector<std::uint32_t> anchors;  // for each pixel the point that it moves with ...
  std::vector<Point> deltas;           // ... and its place beside that point in the mean shape
  std::vector<LandmarkSplit> splits;
  std::vector<LandmarkTree> trees;
  std::vector<float> leaves;  // [leaf, kShapeSize]
};

struct LandmarkPredictor::Model {
  Shape mean_shape{};
  std::vector<LandmarkForest> forests;
};

// `box` has its dlib meaning: the middle of its last pixel is 1. Arguments are checked by
// LandmarkPredictor::predict.
Landmarks run_landmark_trees(const LandmarkPredictor::Model& model, const Image& image,
                             const Box& box);

}  // namespace maskwatch::vision
