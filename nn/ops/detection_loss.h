// The loss of a single-shot detector, with its gradient taken in the same pass over the anchors.
//
// A row of the network's outputs belongs to an anchor: 4 numbers of the box, the logit of a face,
// the logits of the classes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/ref/loss.h"
#include "kernels/scalar.h"
#include "nn/anchors.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

struct SsdLossOptions {
  MatchOptions match = {};
  // Focal loss of the face (Lin et al., "Focal loss for dense object detection", 2017): alpha on
  // anchors that stand for a face, 1 - alpha on the background.
  double gamma = 2, alpha = 0.5;
  double face_weight = 2, box_weight = 2, class_weight = 1;
  std::vector<double> weight_of_class = {};  // empty: all 1
};

// Sums over the batch by the number of anchors that stand for a face, before the weights of the
// options but with those of the classes.
struct SsdLossParts {
  double face = 0, box = 0, classes = 0;
  std::int64_t positives = 0;  // anchors that stand for a face
};

// face_weight · focal loss of the face + box_weight · (1 - GIoU) of the decoded boxes (Rezatofighi
// et al. 2019) + class_weight · cross-entropy of the classes; the latter two over anchors that
// stand for a face. All are divided by the number of those in the batch, or 1 if there is none.
// outputs[n, anchors, 5 + classes], n lists of targets. The same bytes for any number of threads.
// std::invalid_argument for shapes that do not fit and labels that are no class.
Tensor ssd_loss(const Tensor& outputs, const std::vector<Anchor>& anchors,
                const std::vector<std::vector<SsdTarget>>& targets,
                const SsdLossOptions& options = {}, SsdLossParts* parts = nullptr);

// --- Its terms for one anchor, for any number type. Each returns the loss and writes its gradient
// times `factor`. ---

// Focal loss of one logit; never infinite or NaN for a finite one.
template <typename T>
T focal_loss(T* gradient, T logit, bool is_face, const SsdLossOptions& options, double factor) {
  const T sign = is_face ? T(1) : T(-1), towards = sign * logit;
  const T weight = static_cast<T>(is_face ? options.alpha : 1 - options.alpha);
  const T right = kernels::scalar::sigmoid(towards), wrong = kernels::scalar::sigmoid(-towards);
  const T log_right = std::min(towards, T(0)) - std::log1p(std::exp(-std::abs(towards)));
  const T gamma = static_cast<T>(options.gamma);
  const T modulation = weight * (gamma == T(2) ? wrong * wrong : std::pow(wrong, gamma));
  *gradient = static_cast<T>(factor) * sign * modulation * (gamma * right * log_right - wrong);
  return -modulation * log_right;
}

// 1 - GIoU of the box that code[4] and the anchor make, and `target`, which is not empty.
template <typename T>
T giou_loss(T* gradient, const T* code, const Anchor& anchor, const CornerBox& target,
            double factor) {
  // One axis: of the box, of what both share and of what holds both.
  struct Axis {
    T low, high, target_low, target_high;
    T length() const { return high - low; }
    T shared() const { return std::min(high, target_high) - std::max(low, target_low); }
    T around() const { return std::max(high, target_high) - std::min(low, target_low); }
  };
  constexpr T center = T(kCenterVariance), size = T(kSizeVariance);
  const auto place = [&](T middle, T length, T move, T grow, T target_low, T target_high) {
    const T half = length * std::exp(std::min(grow * size, T(kMaxLogGrowth))) / 2;
    const T at = middle + move * center * length;
    return Axis{at - half, at + half, target_low, target_high};
  };
  const Axis x = place(anchor.x, anchor.width, code[0], code[2], target.x0, target.x1);
  const Axis y = place(anchor.y, anchor.height, code[1], code[3], target.y0, target.y1);
  const bool overlaps = x.shared() > 0 && y.shared() > 0;
  const T shared = overlaps ? x.shared() * y.shared() : T(0);
  const T around = x.around() * y.around();
  const T joint = x.length() * y.length() +
                  (x.target_high - x.target_low) * (y.target_high - y.target_low) - shared;
  const T by_area = shared / (joint * joint) - 1 / around;
  const T by_shared = overlaps ? -1 / joint - by_area : T(0), by_around = joint / (around * around);
  const auto take = [&](const Axis& along, const Axis& across, T length, T grow, T* by_move,
                        T* by_growth) {
    const T area = by_area * across.length(), both = by_shared * across.shared(),
            hull = by_around * across.around();
    const T high = area + (along.high < along.target_high ? both : hull);
    const T low = -area - (along.low > along.target_low ? both : hull);
    const T clamped = grow * size < T(kMaxLogGrowth) ? T(1) : T(0);
    *by_move = static_cast<T>(factor) * (low + high) * center * length;
    *by_growth = static_cast<T>(factor) * clamped * (high - low) / 2 * along.length() * size;
  };
  take(x, y, anchor.width, code[2], gradient, gradient + 2);
  take(y, x, anchor.height, code[3], gradient + 1, gradient + 3);
  return 2 - shared / joint - joint / around;
}

// Softmax cross-entropy of logits[classes] with one class.
template <typename T>
T class_loss(T* gradient, const T* logits, std::int64_t classes, int label, double factor) {
  const T sum = kernels::ref::softmax_row(gradient, logits, classes);
  for (std::int64_t c = 0; c < classes; ++c)
    gradient[c] = static_cast<T>(factor) * (gradient[c] - (c == label ? T(1) : T(0)));
  return std::log(sum) + kernels::ref::row_maximum(logits, classes) - logits[label];
}

// The loss of one picture, outputs[anchors, 5 + classes], in sums; matches as match_anchors() gives
// them. The gradient is that of the weighted sum times `factor`.
template <typename T>
SsdLossParts detection_loss(T* gradient, const T* outputs, std::int64_t classes,
                            std::span<const Anchor> anchors, std::span<const int> matches,
                            std::span<const SsdTarget> targets, const SsdLossOptions& options,
                            double factor) {
  SsdLossParts sums;
  const std::int64_t row = 5 + classes;
  std::fill_n(gradient, static_cast<std::int64_t>(anchors.size()) * row, T(0));
  for (std::size_t i = 0; i < anchors.size(); ++i, outputs += row, gradient += row) {
    if (matches[i] == kNothing) continue;
    const bool is_face = matches[i] != kBackground;
    sums.face +=
        focal_loss(gradient + 4, outputs[4], is_face, options, factor * options.face_weight);
    if (!is_face) continue;
    ++sums.positives;
    const SsdTarget& target = targets[static_cast<std::size_t>(matches[i])];
    sums.box += giou_loss(gradient, outputs, anchors[i], target.box, factor * options.box_weight);
    if (target.label < 0) continue;
    const double weight = options.weight_of_class.empty()
                              ? 1.0
                              : options.weight_of_class[static_cast<std::size_t>(target.label)];
    sums.classes += weight * class_loss(gradient + 5, outputs + 5, classes, target.label,
                                        factor * options.class_weight * weight);
  }
  return sums;
}

}  // namespace maskwatch::nn
