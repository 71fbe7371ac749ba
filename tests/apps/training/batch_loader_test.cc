// What the batches of an epoch hold, in which order, and what they depend on.
#include "apps/training/batch_loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "tests/apps/training/drawn_dataset.h"
#include "vision/image/network_input.h"

using namespace maskwatch;

namespace {

constexpr int kSize = 8, kCount = 10;

std::vector<int> all_indices() {
  std::vector<int> indices(kCount);
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

// The first value of each image of an epoch, as it was in memory.
std::vector<int> values_of(const apps::LoadedDataset& data, const apps::BatchLoaderOptions& options,
                           std::uint64_t epoch) {
  apps::BatchLoader loader(data, all_indices(), options, epoch);
  std::vector<int> values;
  for (int batch = 0; batch < loader.batches(); ++batch) {
    const apps::Batch made = loader.next();
    REQUIRE(made.inputs.dim(0) == static_cast<std::int64_t>(made.labels.size()));
    for (std::int64_t i = 0; i < made.inputs.dim(0); ++i)
      values.push_back(
          static_cast<int>(std::lround((made.inputs.data()[i * kSize * kSize * 3] + 1) * 127.5)));
  }
  return values;
}

}  // namespace

TEST_CASE("an epoch shows every image once, with its label, in an order of its own") {
  const apps::LoadedDataset data = dark_and_bright(kCount, kSize);
  apps::BatchLoaderOptions options;
  options.batch_size = 4;
  options.augmented = false;
  apps::BatchLoader loader(data, all_indices(), options, 0);
  CHECK(loader.batches() == 3);
  for (const std::int64_t size : {4, 4, 2}) {
    const apps::Batch batch = loader.next();
    CHECK(batch.inputs.shape() == nn::Shape{size, kSize, kSize, 3});
    CHECK(batch.targets.shape() == nn::Shape{size, 2});
    for (std::int64_t i = 0; i < size; ++i) {
      const int label = batch.labels[static_cast<std::size_t>(i)];
      CHECK((batch.inputs.data()[i * kSize * kSize * 3] < 0) == (label == 1));
      CHECK(batch.targets.data()[2 * i + label] == 1);
      CHECK(batch.targets.data()[2 * i + 1 - label] == 0);
    }
  }
  const std::vector<int> first = values_of(data, options, 0);
  CHECK(first == values_of(data, options, 0));
  CHECK(first != values_of(data, options, 1));
  std::vector<int> sorted = first, expected;
  std::sort(sorted.begin(), sorted.end());
  for (int i = 0; i < kCount; ++i) expected.push_back((i % 2 == 1 ? 20 : 200) + i);
  std::sort(expected.begin(), expected.end());
  CHECK(sorted == expected);
}

TEST_CASE("face crops take the place of images by chance, augmented or not") {
  const apps::LoadedDataset data = dark_and_bright(kCount, kSize);
  apps::FaceCrops faces;
  faces.size = kSize;
  faces.found.assign(kCount, true);
  faces.found[0] = false;
  faces.pixels.assign(data.pixels.size(), 100);
  apps::BatchLoaderOptions options;
  options.faces = &faces;
  for (const bool augmented : {false, true}) {
    CAPTURE(augmented);
    options.augmented = augmented;
    int crops = 0, whole = 0;
    for (std::uint64_t epoch = 0; epoch < 8; ++epoch) {
      const std::vector<int> values = values_of(data, options, epoch);
      const auto here = std::count(values.begin(), values.end(), 100);
      crops += static_cast<int>(here);
      whole += kCount - static_cast<int>(here);
    }
    CHECK(crops > 16);
    CHECK(whole > 24);
  }
}

namespace {

// The inputs of an epoch, one image a batch, by index of the image.
std::vector<std::vector<float>> inputs_by_index(const apps::LoadedDataset& data,
                                                apps::BatchLoaderOptions options,
                                                std::uint64_t epoch) {
  options.batch_size = 1;
  apps::BatchLoader loader(data, all_indices(), options, epoch);
  std::vector<std::vector<float>> inputs(kCount);
  for (const int index : apps::shuffled(all_indices(), options.seed, epoch)) {
    const apps::Batch batch = loader.next();
    inputs[static_cast<std::size_t>(index)].assign(batch.inputs.data(),
                                                   batch.inputs.data() + batch.inputs.count());
  }
  return inputs;
}

// The same without light, from the parts.
std::vector<std::vector<float>> composed(const apps::LoadedDataset& data,
                                         const apps::BatchLoaderOptions& options,
                                         std::uint64_t epoch) {
  std::vector<std::vector<float>> inputs;
  for (int index = 0; index < kCount; ++index) {
    vision::Image image(kSize, kSize), varied;
    std::copy_n(data.image(index), image.pixels.size(), image.pixels.begin());
    vision::augment(image,
                    vision::draw_augmentation(options.augment, options.seed, epoch,
                                              static_cast<std::uint64_t>(index)),
                    varied);
    inputs.emplace_back(varied.pixels.size());
    vision::to_network_input(varied, inputs.back().data(), options.preprocessing);
  }
  return inputs;
}

}  // namespace

TEST_CASE("light has a stream of its own and leaves what is drawn without it as it was") {
  const apps::LoadedDataset data = dark_and_bright(kCount, kSize);
  apps::BatchLoaderOptions strong;
  strong.augment.brightness = 0.15f;
  strong.augment.noise = 12;
  strong.augment.jpeg = 0.3f;
  apps::BatchLoaderOptions lit = strong;
  lit.light = true;
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    CHECK(inputs_by_index(data, strong, epoch) == composed(data, strong, epoch));
    const auto inputs = inputs_by_index(data, lit, epoch);
    CHECK(inputs == inputs_by_index(data, lit, epoch));
    const auto unlit = inputs_by_index(data, strong, epoch);
    int changed = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) changed += inputs[i] != unlit[i] ? 1 : 0;
    CHECK(changed >= kCount / 2);
  }
  apps::BatchLoaderOptions other_seed = lit;
  other_seed.seed = 43;
  // Light alone: without augmentation the epochs and seeds differ by it.
  lit.augmented = other_seed.augmented = false;
  CHECK(inputs_by_index(data, lit, 0) != inputs_by_index(data, lit, 1));
  CHECK(inputs_by_index(data, lit, 0) != inputs_by_index(data, other_seed, 0));
}

TEST_CASE("the shards of all ranks are the batches, some of the last one empty") {
  const apps::LoadedDataset data = dark_and_bright(kCount, kSize);
  constexpr int kShards = 4;
  apps::BatchLoaderOptions options;
  options.batch_size = 4;
  for (const int ranks : {1, 2, 4}) {
    CAPTURE(ranks);
    apps::BatchLoader whole(data, all_indices(), options, 5);
    std::vector<std::unique_ptr<apps::BatchLoader>> loaders;
    for (int rank = 0; rank < ranks; ++rank) {
      apps::BatchLoaderOptions of_rank = options;
      of_rank.shards = {rank * kShards / ranks, (rank + 1) * kShards / ranks, kShards};
      loaders.push_back(std::make_unique<apps::BatchLoader>(data, all_indices(), of_rank, 5));
    }
    for (int batch = 0; batch < whole.batches(); ++batch) {
      const apps::Batch expected = whole.next();
      std::vector<float> inputs;
      std::vector<int> labels;
      for (const auto& loader : loaders)
        for (int shard = 0; shard < kShards / ranks; ++shard) {
          const apps::Batch part = loader->next();
          inputs.insert(inputs.end(), part.inputs.data(), part.inputs.data() + part.inputs.count());
          labels.insert(labels.end(), part.labels.begin(), part.labels.end());
        }
      CHECK(inputs == expected.inputs.values());
      CHECK(labels == expected.labels);
    }
  }
}

TEST_CASE("a loader may be left before its epoch ends") {
  const apps::LoadedDataset data = dark_and_bright(kCount, kSize);
  apps::BatchLoaderOptions options;
  options.batch_size = 1;
  apps::BatchLoader loader(data, all_indices(), options, 0);
  CHECK(loader.next().labels.size() == 1);
}
