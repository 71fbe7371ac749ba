// A step's gradients and statistics: what they are, and that they are the same bytes on any number
// of ranks.
#include "apps/training/sharded_step.h"

#include <doctest/doctest.h>

#include <cmath>
#include <mutex>

#include "nn/classifier.h"
#include "nn/ops.h"
#include "tests/apps/temporary_folder.h"
#include "tests/kernels/thread_communicator.h"

using namespace maskwatch;

namespace {

constexpr int kSize = 33;

std::unique_ptr<nn::Classifier> small_model() {
  nn::ClassifierOptions options;
  options.backbone.width = 0.05;
  options.backbone.input_size = kSize;
  options.labels = {"a", "b"};
  return std::make_unique<nn::Classifier>(options, 1);
}

nn::Tensor drawn(const nn::Shape& shape, std::uint64_t seed) {
  Random random = Random::of_seed(seed);
  nn::Tensor tensor = nn::Tensor::empty(shape);
  for (std::int64_t i = 0; i < tensor.count(); ++i)
    tensor.data()[i] = static_cast<float>(random.uniform(-1, 1));
  return tensor;
}

// Images first .. end-1 of a batch, the same ones whoever takes them.
apps::ShardLoss loss_of(nn::Classifier& model, std::int64_t first, std::int64_t end) {
  if (first == end) return {};
  nn::Tensor x = nn::Tensor::empty({end - first, kSize, kSize, 3});
  nn::Tensor targets = nn::Tensor::zeros({end - first, 2});
  const std::int64_t image = std::int64_t{kSize} * kSize * 3;
  for (std::int64_t i = first; i < end; ++i) {
    const nn::Tensor one = drawn({image}, static_cast<std::uint64_t>(i) + 1);
    std::copy_n(one.data(), image, x.data() + (i - first) * image);
    targets.data()[2 * (i - first) + i % 2] = 1;
  }
  const nn::Tensor logits = model.forward(x);
  return {nn::softmax_cross_entropy(logits, targets), end - first, {{"first", 1.0 * first}}};
}

struct StepValues {
  double loss = 0;
  apps::Figures figures;
  std::vector<float> gradients, statistics;
  bool operator==(const StepValues&) const = default;
};

void append(std::vector<float>& all, const nn::Tensor& tensor) {
  all.insert(all.end(), tensor.data(), tensor.data() + tensor.count());
}

StepValues step(int images, int shards, kernels::Communicator& communicator,
                const std::function<void(nn::Classifier&)>& prepare = {}) {
  const auto model = small_model();
  if (prepare) prepare(*model);
  model->train();
  model->mask_head()->set_dropout_seed(3);
  apps::ShardedStep step(*model, shards, communicator);
  const auto result = step.run([&](int shard) {
    return loss_of(*model, step.range().begin(images, shard),
                   step.range().begin(images, shard + 1));
  });
  StepValues values{result.loss, result.figures, {}, {}};
  for (const nn::Tensor& parameter : model->trainable_parameters())
    append(values.gradients, parameter.grad());
  for (const nn::Tensor& buffer : model->moving_buffers()) append(values.statistics, buffer);
  return values;
}

StepValues alone(int images, int shards, const std::function<void(nn::Classifier&)>& prepare = {}) {
  kernels::OneProcess communicator;
  return step(images, shards, communicator, prepare);
}

}  // namespace

TEST_CASE("the same bytes on any number of ranks, with empty shards and frozen parts too") {
  const auto freeze = [](nn::Classifier& model) { model.backbone().freeze_before(9, false); };
  for (const int images : {8, 7, 3, 1})
    for (const bool frozen : {false, true}) {
      CAPTURE(images);
      CAPTURE(frozen);
      const std::function<void(nn::Classifier&)> prepare =
          frozen ? freeze : std::function<void(nn::Classifier&)>();
      const StepValues expected = alone(images, 4, prepare);
      REQUIRE(std::isfinite(expected.loss));
      for (const int ranks : {1, 2, 4}) {
        std::mutex mutex;
        int same = 0;
        on_threads(ranks, [&](kernels::Communicator& communicator) {
          const StepValues values = step(images, 4, communicator, prepare);
          const std::lock_guard lock(mutex);
          same += values == expected ? 1 : 0;
        });
        CHECK(same == ranks);
      }
    }
}

TEST_CASE("one shard is an ordinary step") {
  const auto model = small_model();
  model->train();
  model->mask_head()->set_dropout_seed(3);
  const nn::Tensor loss = loss_of(*model, 0, 6).loss;
  loss.backward();
  std::vector<float> gradients, statistics;
  for (const nn::Tensor& parameter : model->trainable_parameters())
    append(gradients, parameter.grad());
  for (const nn::Tensor& buffer : model->moving_buffers()) append(statistics, buffer);
  const StepValues values = alone(6, 1);
  CHECK(values.loss == static_cast<double>(loss.item()));
  CHECK(values.gradients == gradients);
  CHECK(values.statistics == statistics);
}

// Of two shards of 3 and 4 images, by hand.
TEST_CASE("gradients are the mean over images, statistics move by the mean over shards") {
  StepValues parts[2];
  std::vector<float> before;
  for (int shard = 0; shard < 2; ++shard) {
    const auto model = small_model();
    model->train();
    model->mask_head()->set_dropout_seed(3);
    before.clear();
    for (const nn::Tensor& buffer : model->moving_buffers()) append(before, buffer);
    const apps::ShardLoss part = loss_of(*model, shard == 0 ? 0 : 3, shard == 0 ? 3 : 7);
    part.loss.backward();
    parts[shard].loss = part.loss.item();
    for (const nn::Tensor& parameter : model->trainable_parameters())
      append(parts[shard].gradients, parameter.grad());
    for (const nn::Tensor& buffer : model->moving_buffers())
      append(parts[shard].statistics, buffer);
  }
  const StepValues both = alone(7, 2);
  CHECK(both.loss == doctest::Approx((3 * parts[0].loss + 4 * parts[1].loss) / 7));
  CHECK(both.figures == apps::Figures{{"first", 3.0 * 4 / 7}});
  double worst = 0;
  for (std::size_t i = 0; i < both.gradients.size(); ++i)
    worst =
        std::max(worst, std::abs(both.gradients[i] -
                                 (3.0 * parts[0].gradients[i] + 4.0 * parts[1].gradients[i]) / 7));
  CHECK(worst < 1e-5);
  worst = 0;
  double moved = 0;
  for (std::size_t i = 0; i < both.statistics.size(); ++i) {
    const double expected = (parts[0].statistics[i] + parts[1].statistics[i]) / 2.0;
    worst = std::max(worst, std::abs(both.statistics[i] - expected) / (1 + std::abs(expected)));
    moved = std::max(moved, static_cast<double>(std::abs(both.statistics[i] - before[i])));
  }
  CHECK(worst < 1e-6);
  CHECK(moved > 1e-4);
}

TEST_CASE("a parameter without a gradient stays without one") {
  for (const int ranks : {1, 2})
    on_threads(ranks, [&](kernels::Communicator& communicator) {
      const auto model = small_model();
      apps::ShardedStep step(*model, 2, communicator);
      const auto parameters = model->trainable_parameters();
      step.run([&](int shard) {
        const nn::Tensor x = nn::Tensor::full({1, parameters.back().count()}, 2.0f);
        return apps::ShardLoss{nn::softmax_cross_entropy(nn::add_bias(x, parameters.back()),
                                                         nn::Tensor::from({1, 2}, {1, 0})),
                               shard + 1};
      });
      if (parameters.front().grad().defined() || !parameters.back().grad().defined())
        throw std::logic_error("gradients");
    });
}

TEST_CASE("ranks that cannot share the shards out are refused") {
  CHECK(message_of([&] {
          on_threads(3, [](kernels::Communicator& communicator) {
            apps::ShardedStep(*small_model(), 4, communicator);
          });
        }) == "4 shards cannot be shared out among 3 ranks");
}
