#include "vision/faces/landmark_trees.h"

#include <cmath>
#include <vector>

namespace maskwatch::vision {
namespace {

// Middle and squared size of a shape.
struct Moments {
  double x = 0, y = 0, squares = 0;
};

Moments moments_of(const Shape& shape) {
  Moments m;
  for (std::size_t i = 0; i < kShapeSize; i += 2) {
    m.x += shape[i];
    m.y += shape[i + 1];
  }
  m.x /= kShapeSize / 2;
  m.y /= kShapeSize / 2;
  for (std::size_t i = 0; i < kShapeSize; i += 2) {
    const double x = shape[i] - m.x, y = shape[i + 1] - m.y;
    m.squares += x * x + y * y;
  }
  return m;
}

// Rotation and scale: (x, y) becomes (cosine x - sine y, sine x + cosine y).
struct Turn {
  float cosine = 1, sine = 0;
};

// The one that takes `from` nearest to `to` in the sense of least squares (Umeyama, 1991, which
// in two dimensions and without reflection has this closed form).
Turn turn_between(const Shape& from, const Moments& mean, const Shape& to) {
  const Moments middle = moments_of(to);
  double cosine = 0, sine = 0;
  for (std::size_t i = 0; i < kShapeSize; i += 2) {
    const double fx = from[i] - mean.x, fy = from[i + 1] - mean.y;
    const double tx = to[i] - middle.x, ty = to[i + 1] - middle.y;
    cosine += fx * tx + fy * ty;
    sine += fx * ty - fy * tx;
  }
  if (!(mean.squares > 0)) return {};
  return {static_cast<float>(cosine / mean.squares), static_cast<float>(sine / mean.squares)};
}

// From shares of the box to pixels: dlib's box ends in the middle of its last pixel.
class ToPixels {
 public:
  explicit ToPixels(const Box& box)
      : left_(box.x), top_(box.y), width_(box.width - 1.0), height_(box.height - 1.0) {}
  double x(float share) const { return left_ + width_ * share; }
  double y(float share) const { return top_ + height_ * share; }

 private:
  double left_, top_, width_, height_;
};

// The pixel whose middle is nearest; black outside the picture, and for NaN.
float grey_at(const Image& image, double x, double y) {
  x = std::floor(x + .5);
  y = std::floor(y + .5);
  if (!(x >= 0 && y >= 0 && x < image.width && y < image.height)) return 0;
  const std::uint8_t* pixel = image.at(static_cast<int>(x), static_cast<int>(y));
  if (image.channels == 1) return pixel[0];
  return static_cast<float>((pixel[0] + pixel[1] + pixel[2]) / 3);
}

void look(const LandmarkForest& forest, const Image& image, const ToPixels& to_pixels,
          const Shape& shape, const Turn& turn, std::vector<float>& pixels) {
  pixels.resize(forest.deltas.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const Point delta = forest.deltas[i];
    const std::size_t anchor = 2 * forest.anchors[i];
    const float x = (turn.cosine * delta.x - turn.sine * delta.y) + shape[anchor];
    const float y = (turn.sine * delta.x + turn.cosine * delta.y) + shape[anchor + 1];
    pixels[i] = grey_at(image, to_pixels.x(x), to_pixels.y(y));
  }
}

std::size_t leaf_of(const LandmarkForest& forest, const LandmarkTree& tree,
                    const std::vector<float>& pixels) {
  const LandmarkSplit* splits = forest.splits.data() + tree.first_split;
  std::size_t node = 0;
  while (node < tree.splits) {
    const LandmarkSplit& split = splits[node];
    const bool left = pixels[split.first] - pixels[split.second] > split.threshold;
    node = 2 * node + (left ? 1 : 2);
  }
  return tree.first_leaf + node - tree.splits;
}

// Leaves lie all over memory: they are asked for while the next trees are walked.
constexpr std::size_t kAhead = 16;

void prefetch(const float* leaf) {
  constexpr std::size_t line = 64 / sizeof(float);
  for (std::size_t i = 0; i < kShapeSize; i += line) __builtin_prefetch(leaf + i);
}

void add_leaf(const float* leaf, Shape& shape) {
  for (std::size_t i = 0; i < kShapeSize; ++i) shape[i] += leaf[i];
}

void add_leaves(const LandmarkForest& forest, const std::vector<float>& pixels, Shape& shape) {
  std::array<const float*, kAhead> queue;
  for (std::size_t i = 0; i < forest.trees.size(); ++i) {
    if (i >= kAhead) add_leaf(queue[i % kAhead], shape);
    const std::size_t leaf = leaf_of(forest, forest.trees[i], pixels);
    queue[i % kAhead] = forest.leaves.data() + leaf * kShapeSize;
    prefetch(queue[i % kAhead]);
  }
  const std::size_t trees = forest.trees.size();
  for (std::size_t i = trees - std::min(trees, kAhead); i < trees; ++i)
    add_leaf(queue[i % kAhead], shape);
}

}  // namespace

Landmarks run_landmark_trees(const LandmarkPredictor::Model& model, const Image& image,
                             const Box& box) {
  const ToPixels to_pixels(box);
  const Moments mean = moments_of(model.mean_shape);
  Shape shape = model.mean_shape;
  std::vector<float> pixels;
  for (const LandmarkForest& forest : model.forests) {
    const Turn turn = turn_between(model.mean_shape, mean, shape);
    look(forest, image, to_pixels, shape, turn, pixels);
    add_leaves(forest, pixels, shape);
  }
  Landmarks points;
  for (std::size_t i = 0; i < points.size(); ++i)
    points[i] = {static_cast<float>(to_pixels.x(shape[2 * i])),
                 static_cast<float>(to_pixels.y(shape[2 * i + 1]))};
  return points;
}

}  // namespace maskwatch::vision
