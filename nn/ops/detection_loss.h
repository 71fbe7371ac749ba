// The loss of a single-shot detector, with its gradient taken in the same pass over the anchors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/anchors.h"
#include "nn/tensor.h"

namespace maskwatch::nn {

struct SsdLossOptions {
  MatchOptions match;
  AnchorVariances variances;
  // Focal loss of the face (Lin et al. 2017): alpha on anchors that stand for a face, 1 - alpha on
  // the background.
  double gamma = 2, alpha = 0.5;
  double face_weight = 2, box_weight = 2, class_weight = 1;
  std::vector<double> weight_of_class;  // empty: all 1
};

// Sums over the batch by the number of anchors that stand for a face, before the weights of the
// options but with those of the classes.
struct SsdLossParts {
  double face = 0, box = 0, classes = 0;
  std::int64_t positives = 0;  // anchors that stand for a face
};

// face_weight · focal loss of the face + box_weight · (1 - GIoU) of the decoded boxes
// (Rezatofighi et al. 2019) + class_weight · cross-entropy of the classes; the latter two over
// anchors that stand for a face. All are divided by the number of those in the batch, or 1 if there
// is none. outputs[n, anchors, 5 + classes], n lists of targets. The same bytes for any number of
// threads. std::invalid_argument for shapes that do not fit and labels that are no class.
Tensor ssd_loss(const Tensor& outputs, const std::vector<Anchor>& anchors,
                const std::vector<std::vector<SsdTarget>>& targets,
                const SsdLossOptions& options = {}, SsdLossParts* parts = nullptr);

}  // namespace maskwatch::nn
