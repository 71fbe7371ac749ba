#include "apps/training/batch_loader.h"

#include <algorithm>
#include <utility>

#include "apps/training/light.h"
#include "base/random.h"
#include "vision/image/network_input.h"

namespace maskwatch::apps {
namespace {

// Streams of random numbers that one seed serves; a stream is a seed of its own.
constexpr std::uint64_t kShuffleStream = 0x73687566;
constexpr std::uint64_t kFaceStream = 0x66616365;
constexpr std::uint64_t kLightStream = 0x6c696768;

void read_image(const std::uint8_t* pixels, int size, vision::Image& image) {
  image.width = image.height = size;
  image.channels = 3;
  image.pixels.assign(pixels, pixels + static_cast<std::size_t>(size) * size * 3);
}

std::vector<int> labels_of(const LoadedDataset& data, const std::vector<int>& indices) {
  std::vector<int> labels;
  for (const int index : indices)
    labels.push_back(data.dataset.images[static_cast<std::size_t>(index)].label);
  return labels;
}

}  // namespace

std::vector<int> shuffled(std::vector<int> indices, std::uint64_t seed, std::uint64_t epoch) {
  const std::uint64_t stream = random_bits(seed ^ kShuffleStream, epoch);
  for (std::size_t i = indices.size(); i > 1; --i)
    std::swap(indices[i - 1], indices[random_bits(stream, i) % i]);
  return indices;
}

nn::Tensor targets_of(const std::vector<int>& labels, std::int64_t classes) {
  nn::Tensor targets = nn::Tensor::zeros({static_cast<std::int64_t>(labels.size()), classes});
  for (std::size_t i = 0; i < labels.size(); ++i)
    targets.data()[static_cast<std::int64_t>(i) * classes + labels[i]] = 1;
  return targets;
}

nn::Tensor inputs_of(const LoadedDataset& data, const std::vector<int>& indices,
                     nn::Preprocessing preprocessing) {
  nn::Tensor inputs =
      nn::Tensor::empty({static_cast<std::int64_t>(indices.size()), data.size, data.size, 3});
  vision::Image image;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    read_image(data.image(indices[i]), data.size, image);
    vision::to_network_input(image, inputs.data() + i * data.image_bytes(), preprocessing);
  }
  return inputs;
}

BatchLoader::BatchLoader(const LoadedDataset& data, const std::vector<int>& indices,
                         const BatchLoaderOptions& options, std::uint64_t epoch)
    : data_(data),
      options_(options),
      epoch_(epoch),
      order_(shuffled(indices, options.seed, epoch)),
      thread_([this] { run(); }) {}

BatchLoader::~BatchLoader() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

const std::uint8_t* BatchLoader::pixels_of(int index) const {
  const FaceCrops* faces = options_.faces;
  if (!faces || !faces->found[static_cast<std::size_t>(index)]) return data_.image(index);
  const std::uint64_t epoch_stream = random_bits(options_.seed ^ kFaceStream, epoch_);
  const bool as_face = random_bits(epoch_stream, static_cast<std::uint64_t>(index)) & 1;
  return as_face ? faces->image(index) : data_.image(index);
}

Batch BatchLoader::make(int batch, int shard) {
  const auto first = order_.begin() + static_cast<std::ptrdiff_t>(batch) * options_.batch_size;
  const auto whole = std::min<std::ptrdiff_t>(options_.batch_size, order_.end() - first);
  const std::vector<int> indices(first + options_.shards.begin(whole, shard),
                                 first + options_.shards.begin(whole, shard + 1));
  const auto count = std::ssize(indices);
  Batch made;
  made.inputs = nn::Tensor::staged({count, data_.size, data_.size, 3}, *options_.device);
  vision::Image image, varied;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    read_image(pixels_of(indices[i]), data_.size, image);
    if (options_.light) {
      Random random{options_.seed, kLightStream, epoch_, static_cast<std::uint64_t>(indices[i])};
      apply_light(image, draw_lamp_light(random));
    }
    if (options_.augmented) {
      const auto parameters = vision::draw_augmentation(options_.augment, options_.seed, epoch_,
                                                        static_cast<std::uint64_t>(indices[i]));
      vision::augment(image, parameters, varied);
      std::swap(image, varied);
    }
    vision::to_network_input(image, made.inputs.data() + i * data_.image_bytes(),
                             options_.preprocessing);
  }
  made.labels = labels_of(data_, indices);
  made.targets = targets_of(made.labels, static_cast<std::int64_t>(data_.dataset.classes.size()));
  return made;
}

void BatchLoader::run() {
  try {
    const ShardRange& shards = options_.shards;
    for (int item = 0; item < batches() * shards.size(); ++item) {
      Batch made = make(item / shards.size(), shards.first + item % shards.size());
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || ready_.size() < kAhead; });
      if (stopping_) return;
      ready_.push_back(std::move(made));
      changed_.notify_all();
    }
  } catch (...) {
    std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    changed_.notify_all();
  }
}

Batch BatchLoader::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || !ready_.empty(); });
  if (ready_.empty()) std::rethrow_exception(failure_);
  Batch batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batch;
}

}  // namespace maskwatch::apps
