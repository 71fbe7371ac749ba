// The gradients of a training step whose batch is cut into shards, for any number of ranks.
//
// A batch is `shards` pieces; rank r of R has shards/R of them, one after the other: r · shards/R
// and on. Forward and backward run on one shard at a time, which batch norm takes for its batch.
// What each shard gives (gradients, how far it moved the running statistics) stays apart until all
// have run, and is then added up in the order of shards: so model and figures are the same bytes on
// any number of ranks that divides `shards`. One shard: an ordinary step.
//
// Values travel in two rounds: all-to-all gives each rank its slice of all shards to add up, and
// all-gather returns the sums. Both happen on the host.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "apps/common/progress.h"
#include "kernels/communicator.h"
#include "nn/module.h"
#include "nn/tensor.h"

namespace maskwatch::apps {

// What one shard gives.
struct ShardLoss {
  nn::Tensor loss;         // a scalar with its history; undefined: there is nothing in the shard
  std::int64_t count = 0;  // of pictures, or of whatever else the loss is the mean over
  Figures figures = {};    // what else there is to say of it: the same names for every shard
};

// The shards of a batch, and which of them are this rank's.
struct ShardRange {
  int first = 0, end = 1;  // this rank's
  int shards = 1;

  // std::invalid_argument unless the number of ranks divides `shards`.
  static ShardRange of(int shards, const kernels::Communicator& communicator);
  int size() const { return end - first; }
  // Where shard `shard` of `count` things begins; that of `shards` is `count`.
  std::int64_t begin(std::int64_t count, int shard) const { return count * shard / shards; }
};

class ShardedStep {
 public:
  // One shard of the batch.
  struct Shard {
    bool filled = false;  // or there was nothing in it, and the rest is 0
    double loss = 0;
    std::int64_t count = 0;
    Figures figures = {};
  };
  // The whole batch: its mean loss, and the figures as means with the same weights.
  struct Result {
    double loss = 0;
    Figures figures;
    std::vector<Shard> shards;
    std::vector<double> weights;  // what each shard counts for in the means
  };

  // Keeps a reference to the communicator. Only what the model trains now is trained.
  ShardedStep(const nn::Module& model, int shards, kernels::Communicator& communicator);

  const ShardRange& range() const { return range_; }

  // Calls `forward` for each shard of this rank. Then every trained parameter has the gradient of
  // the batch's mean loss, and running statistics have moved by the mean of what the shards that
  // are not empty moved them by. Where a loss is not finite, the gradients are not to be used.
  // RankFault where another rank is lost.
  Result run(const std::function<ShardLoss(int shard)>& forward);

  // Bytes that this rank sends to others in a step. 0 where it is alone.
  std::int64_t bytes_sent() const;

 private:
  void keep_statistics();
  void restore_statistics() const;
  void pack(int local);
  float* slice(int local, std::int64_t index);
  Result gather(const std::vector<ShardLoss>& mine) const;
  void weigh(const Result& result);
  std::vector<float> add_up();
  void unpack(const std::vector<float>& sums);

  kernels::Communicator& communicator_;
  ShardRange range_;
  std::vector<nn::Tensor> parameters_, statistics_;
  std::vector<std::vector<float>> kept_;  // the statistics before the step
  // Of a shard: gradients, then for each parameter 1 if it has one, then moves of statistics.
  std::int64_t gradients_ = 0, moves_at_ = 0, values_ = 0;
  std::int64_t chunk_ = 0;    // values that one rank adds up
  std::vector<float> apart_;  // [ranks, shards of this rank, chunk]
};

}  // namespace maskwatch::apps
