#include "apps/training/detection_loader.h"

#include <algorithm>

#include "base/parallel.h"
#include "vision/image/network_input.h"

namespace maskwatch::apps {

DetectionLoader::DetectionLoader(const DetectionPictures& pictures, const std::vector<int>& chosen,
                                 const DetectionLoaderOptions& options, std::int64_t begin,
                                 std::int64_t end)
    : pictures_(pictures),
      chosen_(chosen),
      options_(options),
      claimed_(begin * options.shards.size()),
      given_(claimed_),
      end_(end * options.shards.size()),
      ahead_(threads() + 2) {
  try {
    for (int i = 0; i < threads(); ++i) threads_.emplace_back([this] { run(); });
  } catch (...) {
    stop();
    throw;
  }
}

DetectionLoader::~DetectionLoader() { stop(); }

void DetectionLoader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

DetectionBatch DetectionLoader::make(std::int64_t step, int shard) const {
  const int size = options_.crops.size;
  const std::int64_t begin = options_.shards.begin(options_.batch_size, shard);
  const std::int64_t end = options_.shards.begin(options_.batch_size, shard + 1);
  DetectionBatch batch;
  batch.inputs = nn::Tensor::staged({end - begin, size, size, 3}, *options_.device);
  for (std::int64_t i = begin; i < end; ++i) {
    DetectionCrop crop = make_crop(pictures_, chosen_, options_.crops,
                                   static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(i));
    vision::to_network_input(crop.image, batch.inputs.data() + (i - begin) * size * size * 3,
                             options_.preprocessing);
    batch.faces.push_back(std::move(crop.faces));
  }
  return batch;
}

void DetectionLoader::run() {
  try {
    while (true) {
      std::int64_t item = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(
            lock, [this] { return stopping_ || claimed_ >= end_ || claimed_ < given_ + ahead_; });
        if (stopping_ || claimed_ >= end_) return;
        item = claimed_++;
      }
      const int here = options_.shards.size();
      DetectionBatch batch =
          make(item / here, options_.shards.first + static_cast<int>(item % here));
      const std::lock_guard lock(mutex_);
      ready_.emplace(item, std::move(batch));
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    changed_.notify_all();
  }
}

DetectionBatch DetectionLoader::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || ready_.contains(given_); });
  const auto found = ready_.find(given_);
  if (found == ready_.end()) std::rethrow_exception(failure_);
  DetectionBatch batch = std::move(found->second);
  ready_.erase(found);
  ++given_;
  changed_.notify_all();
  return batch;
}

}  // namespace maskwatch::apps
