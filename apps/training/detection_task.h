// Training of a face detector as a task: crops of pictures with boxes, the loss of an SSD, average
// precision on the validation pictures.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "apps/training/average_precision.h"
#include "apps/training/detection_loader.h"
#include "apps/training/detection_split.h"
#include "apps/training/training_task.h"
#include "nn/ssd.h"

namespace maskwatch::apps {

// The batches' shards say which part of each batch this rank makes.
struct DetectionTaskOptions {
  DetectionLoaderOptions batches;
  nn::SsdLossOptions loss;
  // Where the network runs: the task moves it there.
  kernels::Device* device = &kernels::cpu_device();
};

// The faces that a network sees in pictures, looked at as the detecting programs do
// (vision::SsdOptions). Runs on `device`, uses all threads, and shares the pictures out among the
// ranks; every rank gets all results. Same bytes for any number of either.
std::vector<JudgedPicture> judge_pictures(const nn::SsdNetwork& network,
                                          const DetectionPictures& pictures,
                                          const std::vector<int>& chosen,
                                          kernels::Communicator& communicator,
                                          kernels::Device& device = kernels::cpu_device());

class DetectionTask : public TrainingTask {
 public:
  // Keeps references to all but the options.
  DetectionTask(nn::SsdNetwork& network, const DetectionPictures& pictures,
                const DetectionSplit& split, const DetectionTaskOptions& options,
                kernels::Communicator& communicator);

  nn::Module& model() override { return network_; }
  void prepare(std::int64_t begin, std::int64_t end) override;
  ShardLoss loss(int shard) override;
  // "AP50", "AP50:95"; "found" and "right": shares of the faces of 12 pixels and more that are
  // found, and found and labelled right, at a score of 0.5 and an overlap of 0.4; "false": faces
  // found a picture without one.
  Figures validate() override;

 private:
  nn::SsdNetwork& network_;
  const DetectionPictures& pictures_;
  const DetectionSplit& split_;
  DetectionTaskOptions options_;
  kernels::Communicator& communicator_;
  std::vector<nn::Anchor> anchors_;
  std::unique_ptr<DetectionLoader> loader_;
};

// Piece by piece what went most wrong: the surest false alarms, or the largest faces that were
// not found at `threshold`, with some of the picture around them and all boxes: true faces in the
// colours of their classes, what was found in blue.
enum class Mistake { false_alarm, miss };
vision::Image worst_mistakes(Mistake kind, const DetectionPictures& pictures,
                             const std::vector<int>& chosen,
                             const std::vector<JudgedPicture>& judged, double threshold);

}  // namespace maskwatch::apps
