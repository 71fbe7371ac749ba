// Training batches of a face detector, made on threads of their own ahead of the steps that use
// them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "apps/training/detection_crops.h"
#include "apps/training/sharded_step.h"
#include "nn/preprocessing.h"
#include "nn/tensor.h"

namespace maskwatch::apps {

// One shard of a batch.
struct DetectionBatch {
  nn::Tensor inputs;                        // [n, size, size, 3], preprocessed
  std::vector<std::vector<FaceBox>> faces;  // of each crop, in its pixels
};

struct DetectionLoaderOptions {
  CropOptions crops;
  int batch_size = 16;     // crops of all shards of a step; at least one for each
  ShardRange shards = {};  // which of them are made here
  nn::Preprocessing preprocessing = nn::Preprocessing::tf;
  kernels::Device* device = &kernels::cpu_device();  // where the batches will go
};

// What is in a batch depends on the options, the step and the pictures alone. Keeps references to
// the pictures and to `chosen`.
class DetectionLoader {
 public:
  // Batches of the steps begin .. end-1.
  DetectionLoader(const DetectionPictures& pictures, const std::vector<int>& chosen,
                  const DetectionLoaderOptions& options, std::int64_t begin, std::int64_t end);
  ~DetectionLoader();
  DetectionLoader(const DetectionLoader&) = delete;
  DetectionLoader& operator=(const DetectionLoader&) = delete;

  // In the order of steps, and in each of the shards that are made here; call it once for each of
  // them. Rethrows what went wrong on a thread.
  DetectionBatch next();

 private:
  void run();
  DetectionBatch make(std::int64_t step, int shard) const;
  void stop();

  const DetectionPictures& pictures_;
  const std::vector<int>& chosen_;
  DetectionLoaderOptions options_;
  // Shards are counted from the run's first step on.
  std::int64_t claimed_, given_, end_;  // next shards to make and to give
  std::int64_t ahead_;                  // shards that may wait
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::int64_t, DetectionBatch> ready_;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace maskwatch::apps
