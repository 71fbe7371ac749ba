// Augmented training batches, made on a thread of their own while the network works on the one
// before.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "apps/common/dataset.h"
#include "apps/training/face_crops.h"
#include "apps/training/load_images.h"
#include "apps/training/sharded_step.h"
#include "nn/preprocessing.h"
#include "nn/tensor.h"
#include "vision/image/augment.h"

namespace maskwatch::apps {

// A batch, or one shard of it; the last one of an epoch may hold nothing.
struct Batch {
  nn::Tensor inputs;   // [n, size, size, 3], preprocessed
  nn::Tensor targets;  // [n, classes], one-hot
  std::vector<int> labels;
};

// `indices` of the data set in the order of an epoch: a permutation drawn from (seed, epoch) alone.
std::vector<int> shuffled(std::vector<int> indices, std::uint64_t seed, std::uint64_t epoch);

struct BatchLoaderOptions {
  int batch_size = 32;  // images of all shards
  std::uint64_t seed = 42;
  nn::Preprocessing preprocessing = nn::Preprocessing::tf;
  vision::AugmentOptions augment;
  bool augmented = true;
  bool light = false;  // before that: another light (apps/training/light.h)
  // Or null. An image with a crop is shown whole in one epoch and as its face in another, by
  // chance.
  const FaceCrops* faces = nullptr;
  ShardRange shards = {};                            // which shards of each batch are made here
  kernels::Device* device = &kernels::cpu_device();  // where the batches will go
};

// Makes the batches of one epoch. What is in them depends on the options, the epoch and the
// images alone.
class BatchLoader {
 public:
  BatchLoader(const LoadedDataset& data, const std::vector<int>& indices,
              const BatchLoaderOptions& options, std::uint64_t epoch);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  int batches() const {
    return static_cast<int>((order_.size() + options_.batch_size - 1) / options_.batch_size);
  }
  // The batches in order, and of each the shards that are made here; call it once for each of them.
  // Rethrows what went wrong on the loader's thread.
  Batch next();

 private:
  static constexpr std::size_t kAhead = 3;

  void run();
  Batch make(int batch, int shard);
  const std::uint8_t* pixels_of(int index) const;

  const LoadedDataset& data_;
  BatchLoaderOptions options_;
  std::uint64_t epoch_;
  std::vector<int> order_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::thread thread_;
};

// Preprocessed inputs of the images `indices`, as they are.
nn::Tensor inputs_of(const LoadedDataset& data, const std::vector<int>& indices,
                     nn::Preprocessing preprocessing);
// One-hot rows.
nn::Tensor targets_of(const std::vector<int>& labels, std::int64_t classes);

}  // namespace maskwatch::apps
