// dlib's serialisation, as far as a shape_predictor needs it. Everything is made of integers: a
// control byte (bit 7: negative, bits 0-3: how many bytes follow) and the magnitude, little-endian.
// A float is mantissa, exponent (of 2); a list its length and its items; a matrix its rows and
// columns, negated, and its items. A shape_predictor is
//   version 1
//   mean shape      matrix [2 points, 1]
//   forests         list of lists of trees; a tree is its splits (list of: pixel, pixel, threshold)
//                   and its leaves (list of matrices like the shape)
//   anchors         for each forest a list of point numbers, one a pixel
//   deltas          for each forest a list of x, y, one a pixel
#include "vision/faces/landmark_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kChunk = 1 << 20;
// The least that an integer, a float, a split and a leaf can take in the file.
constexpr std::uint64_t kIntegerBytes = 2;
constexpr std::uint64_t kFloatBytes = 2 * kIntegerBytes;
constexpr std::uint64_t kSplitBytes = 2 * kIntegerBytes + kFloatBytes;
constexpr std::uint64_t kLeafBytes = 2 * kIntegerBytes + kShapeSize * kFloatBytes;
constexpr std::uint64_t kTreeBytes = 2 * kIntegerBytes + kLeafBytes;

class Reader {
 public:
  Reader(const ByteSource& source, std::uint64_t size, const std::string& name)
      : source_(source), name_(name), unread_(size), chunk_(kChunk + kSlack) {}

  LandmarkPredictor::Model read() {
    if (integer() != 1) fail("is not a dlib shape predictor (version 1)");
    LandmarkPredictor::Model model;
    read_mean_shape(model.mean_shape);
    model.forests.resize(count("forests", kTreeBytes));
    if (model.forests.empty()) fail("has no trees");
    for (LandmarkForest& forest : model.forests) read_forest(forest);
    same_count("lists of anchors", model.forests.size(), kIntegerBytes);
    for (LandmarkForest& forest : model.forests) read_anchors(forest);
    same_count("lists of deltas", model.forests.size(), kIntegerBytes);
    for (LandmarkForest& forest : model.forests) read_deltas(forest);
    if (left() != 0) fail("has " + std::to_string(left()) + " bytes too many");
    return model;
  }

 private:
  // A number's bytes are loaded eight at a time.
  static constexpr std::size_t kSlack = 8;
  static constexpr std::size_t kLongestInteger = 9;

  [[noreturn]] void fail(const std::string& fault) const {
    throw std::runtime_error(name_ + ": " + fault);
  }

  std::uint64_t left() const { return unread_ + (end_ - at_); }

  void refill() {
    const std::size_t kept = end_ - at_;
    std::memmove(chunk_.data(), chunk_.data() + at_, kept);
    const std::size_t wanted = std::min<std::uint64_t>(unread_, kChunk - kept);
    const std::size_t got = source_(chunk_.data() + kept, wanted);
    if (got != wanted) fail("cannot be read to its end");
    unread_ -= got;
    at_ = 0;
    end_ = kept + got;
  }

  std::int64_t integer() {
    if (end_ - at_ < kLongestInteger && unread_ != 0) refill();
    if (at_ == end_) fail("is truncated");
    const unsigned control = static_cast<unsigned char>(chunk_[at_]);
    const unsigned bytes = control & 15;
    if (bytes == 0 || bytes > 8 || (control & 0x70) != 0)
      fail("is corrupt: no number where one is expected");
    if (end_ - at_ < 1 + bytes) fail("is truncated");
    std::uint64_t magnitude;
    std::memcpy(&magnitude, chunk_.data() + at_ + 1, sizeof magnitude);
    magnitude &= ~std::uint64_t{0} >> (64 - 8 * bytes);
    at_ += 1 + bytes;
    if (magnitude > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      fail("is corrupt: a number out of range");
    const auto value = static_cast<std::int64_t>(magnitude);
    return (control & 0x80) != 0 ? -value : value;
  }

  float number() {
    const auto mantissa = static_cast<float>(integer());
    const std::int64_t exponent = integer();
    if (exponent >= -126 && exponent <= 127) {
      const float power = std::bit_cast<float>(static_cast<std::uint32_t>(exponent + 127) << 23);
      return finite(mantissa * power);
    }
    if (exponent < -10000 || exponent > 10000) fail("is corrupt: a number is not finite");
    return finite(std::ldexp(mantissa, static_cast<int>(exponent)));
  }

  float finite(float value) const {
    if (!std::isfinite(value)) fail("is corrupt: a number is not finite");
    return value;
  }

  // A list's length, whose items take `item_bytes` or more each.
  std::size_t count(const char* what, std::uint64_t item_bytes) {
    const std::int64_t value = integer();
    if (value < 0 || static_cast<std::uint64_t>(value) > left() / item_bytes)
      fail(std::to_string(value) + " " + what + " do not fit into the " + std::to_string(left()) +
           " bytes that follow");
    if (value > std::numeric_limits<std::uint32_t>::max())
      fail(std::to_string(value) + " " + what + " are too many");
    return static_cast<std::size_t>(value);
  }

  void same_count(const char* what, std::size_t due, std::uint64_t item_bytes) {
    const std::size_t found = count(what, item_bytes);
    if (found != due)
      fail(std::to_string(found) + " " + what + " where " + std::to_string(due) + " are expected");
  }

  std::uint32_t index(const char* what, std::size_t limit) {
    const std::int64_t value = integer();
    if (value < 0 || static_cast<std::uint64_t>(value) >= limit)
      fail(std::string(what) + " " + std::to_string(value) + " of " + std::to_string(limit));
    return static_cast<std::uint32_t>(value);
  }

  // Older files have the dimensions as they are, newer ones negated.
  void read_shape(float* shape) {
    const std::int64_t rows = std::abs(integer()), columns = std::abs(integer());
    if (rows != kShapeSize || columns != 1)
      fail("has shapes of " + std::to_string(rows) + "x" + std::to_string(columns) +
           " numbers; 68 points are 136x1");
    for (std::size_t i = 0; i < kShapeSize; ++i) shape[i] = number();
  }

  void read_mean_shape(Shape& shape) { read_shape(shape.data()); }

  void read_forest(LandmarkForest& forest) {
    const std::size_t trees = count("trees", kTreeBytes);
    forest.trees.reserve(trees);
    for (std::size_t i = 0; i < trees; ++i) {
      read_tree(forest);
      if (i == 0) reserve_like_first(forest, trees);
    }
  }

  // Trees of a forest are alike; whatever the file says, no more is taken than it has bytes for.
  void reserve_like_first(LandmarkForest& forest, std::size_t trees) const {
    const std::uint64_t leaves = trees * (forest.leaves.size() / kShapeSize);
    const std::uint64_t fit = leaves / trees <= left() / kLeafBytes / trees + 1 ? leaves : 0;
    forest.leaves.reserve(fit * kShapeSize);
    forest.splits.reserve(fit);
  }

  void read_tree(LandmarkForest& forest) {
    LandmarkTree tree;
    const std::size_t splits = count("splits", kSplitBytes);
    tree.splits = static_cast<std::uint32_t>(splits);
    tree.first_split = static_cast<std::uint32_t>(forest.splits.size());
    for (std::size_t i = 0; i < splits; ++i) {
      LandmarkSplit split;
      // Checked against the forest's pixels when they are known.
      split.first = index("pixel", std::numeric_limits<std::uint32_t>::max());
      split.second = index("pixel", std::numeric_limits<std::uint32_t>::max());
      split.threshold = number();
      forest.splits.push_back(split);
    }
    const std::size_t leaves = count("leaves", kLeafBytes);
    if (leaves != splits + 1 || !std::has_single_bit(leaves))
      fail("has a tree of " + std::to_string(splits) + " splits and " + std::to_string(leaves) +
           " leaves");
    const std::size_t first = forest.leaves.size();
    tree.first_leaf = static_cast<std::uint32_t>(first / kShapeSize);
    forest.leaves.resize(first + leaves * kShapeSize);
    for (std::size_t i = 0; i < leaves; ++i)
      read_shape(forest.leaves.data() + first + i * kShapeSize);
    forest.trees.push_back(tree);
  }

  void read_anchors(LandmarkForest& forest) {
    forest.anchors.resize(count("anchors", kIntegerBytes));
    for (std::uint32_t& anchor : forest.anchors) anchor = index("anchor", kShapeSize / 2);
    for (const LandmarkSplit& split : forest.splits) {
      const std::size_t pixel = std::max(split.first, split.second);
      if (pixel >= forest.anchors.size())
        fail("pixel " + std::to_string(pixel) + " of " + std::to_string(forest.anchors.size()));
    }
  }

  void read_deltas(LandmarkForest& forest) {
    same_count("deltas", forest.anchors.size(), 2 * kFloatBytes);
    forest.deltas.resize(forest.anchors.size());
    for (Point& delta : forest.deltas) {
      delta.x = number();
      delta.y = number();
    }
  }

  const ByteSource& source_;
  const std::string& name_;
  std::uint64_t unread_;  // bytes that are not in the chunk yet
  std::vector<char> chunk_;
  std::size_t at_ = 0, end_ = 0;  // of the chunk
};

}  // namespace

LandmarkPredictor::Model read_landmark_trees(const ByteSource& source, std::uint64_t size,
                                             const std::string& name) {
  return Reader(source, size, name).read();
}

}  // namespace maskwatch::vision
