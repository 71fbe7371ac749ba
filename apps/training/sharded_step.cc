#include "apps/training/sharded_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "apps/common/share.h"
#include "kernels/table.h"

namespace maskwatch::apps {
namespace {

// What one shard's loss counts for in the mean of the batch: its part of all that the losses are
// means over. A loss that is the mean over nothing stands for a sum that was divided by 1.
double weight_of(std::int64_t count, std::int64_t all) {
  return static_cast<double>(std::max<std::int64_t>(count, 1)) /
         static_cast<double>(std::max<std::int64_t>(all, 1));
}

void set_values(const nn::Tensor& tensor, const std::vector<float>& values) {
  tensor.device().copy_in(tensor.data(), values.data(), values.size() * sizeof(float));
}

void take_means(ShardedStep::Result& result) {
  std::int64_t all = 0;
  for (const ShardedStep::Shard& shard : result.shards) all += shard.count;
  for (const ShardedStep::Shard& shard : result.shards) {
    const double weight = shard.filled ? weight_of(shard.count, all) : 0;
    result.weights.push_back(weight);
    if (!shard.filled) continue;
    result.loss += weight * shard.loss;
    if (result.figures.empty())
      for (const auto& [name, value] : shard.figures) result.figures.emplace_back(name, 0);
    for (std::size_t i = 0; i < shard.figures.size(); ++i)
      result.figures[i].second += weight * shard.figures[i].second;
  }
}

}  // namespace

ShardRange ShardRange::of(int shards, const kernels::Communicator& communicator) {
  if (shards < 1 || shards % communicator.ranks() != 0)
    throw std::invalid_argument(
        fmt::format("{} shards cannot be shared out among {} ranks", shards, communicator.ranks()));
  const int each = shards / communicator.ranks();
  return {communicator.rank() * each, (communicator.rank() + 1) * each, shards};
}

ShardedStep::ShardedStep(const nn::Module& model, int shards, kernels::Communicator& communicator)
    : communicator_(communicator),
      range_(ShardRange::of(shards, communicator)),
      parameters_(model.trainable_parameters()),
      statistics_(model.moving_buffers()) {
  if (shards == 1) return;
  for (const nn::Tensor& parameter : parameters_) gradients_ += parameter.count();
  moves_at_ = gradients_ + std::ssize(parameters_);
  values_ = moves_at_;
  for (const nn::Tensor& statistic : statistics_) {
    values_ += statistic.count();
    kept_.emplace_back();
  }
  const std::int64_t ranks = communicator_.ranks();
  chunk_ = (values_ + ranks - 1) / ranks;
  apart_.resize(static_cast<std::size_t>(chunk_ * ranks * range_.size()));
}

std::int64_t ShardedStep::bytes_sent() const {
  const std::int64_t others = communicator_.ranks() - 1;
  return others * chunk_ * (range_.size() + 1) * static_cast<std::int64_t>(sizeof(float));
}

ShardedStep::Result ShardedStep::run(const std::function<ShardLoss(int shard)>& forward) {
  keep_statistics();
  std::vector<ShardLoss> mine;
  for (int shard = range_.first; shard < range_.end; ++shard) {
    if (range_.shards > 1) restore_statistics();
    for (const nn::Tensor& parameter : parameters_) parameter.zero_grad();
    mine.push_back(forward(shard));
    if (const nn::Tensor& loss = mine.back().loss; loss.defined()) {
      loss.backward();
      mine.back().loss = loss.detach();
    }
    if (range_.shards > 1) pack(shard - range_.first);
  }
  Result result = gather(mine);
  if (range_.shards == 1) return result;
  weigh(result);
  unpack(add_up());
  return result;
}

void ShardedStep::keep_statistics() {
  for (std::size_t i = 0; i < kept_.size(); ++i) kept_[i] = statistics_[i].values();
}

void ShardedStep::restore_statistics() const {
  for (std::size_t i = 0; i < kept_.size(); ++i) set_values(statistics_[i], kept_[i]);
}

// Value `index` of a shard of this rank.
float* ShardedStep::slice(int local, std::int64_t index) {
  const std::int64_t rank = index / chunk_;
  return apart_.data() + (rank * range_.size() + local) * chunk_ + index % chunk_;
}

void ShardedStep::pack(int local) {
  std::int64_t at = 0;
  const auto put = [&](const float* values, std::int64_t count) {
    while (count > 0) {
      const std::int64_t now = std::min(count, chunk_ - at % chunk_);
      float* to = slice(local, at);
      if (values)
        std::copy_n(values, now, to);
      else
        std::fill_n(to, now, 0.0f);
      if (values) values += now;
      at += now;
      count -= now;
    }
  };
  std::vector<float> has_gradient;
  for (const nn::Tensor& parameter : parameters_) {
    const nn::Tensor gradient = parameter.grad().defined() ? parameter.grad().cpu() : nn::Tensor();
    has_gradient.push_back(gradient.defined() ? 1 : 0);
    put(gradient.defined() ? gradient.data() : nullptr, parameter.count());
  }
  put(has_gradient.data(), std::ssize(has_gradient));
  std::vector<float> moves;
  for (std::size_t i = 0; i < statistics_.size(); ++i) {
    const std::vector<float> now = statistics_[i].values();
    for (std::size_t c = 0; c < now.size(); ++c) moves.push_back(now[c] - kept_[i][c]);
  }
  put(moves.data(), std::ssize(moves));
}

ShardedStep::Result ShardedStep::gather(const std::vector<ShardLoss>& mine) const {
  // A rank whose shards are all empty does not know what the figures are called: their names travel
  // with them.
  MessageWriter message;
  for (const ShardLoss& shard : mine) {
    message.put(shard.loss.defined());
    message.put(shard.loss.defined() ? static_cast<double>(shard.loss.item()) : 0.0);
    message.put(shard.count);
    message.put(shard.figures.size());
    for (const auto& [name, value] : shard.figures) {
      message.put_text(name);
      message.put(value);
    }
  }
  Result result;
  for (const std::string& of_rank : gather_messages(communicator_, message.bytes())) {
    MessageReader reader(of_rank);
    while (!reader.at_end()) {
      Shard& shard = result.shards.emplace_back();
      shard.filled = reader.get<bool>();
      shard.loss = reader.get<double>();
      shard.count = reader.get<std::int64_t>();
      for (auto left = reader.get<std::size_t>(); left > 0; --left) {
        std::string name = reader.get_text();
        shard.figures.emplace_back(std::move(name), reader.get<double>());
      }
    }
  }
  take_means(result);
  return result;
}

// Each rank scales what its own shards gave.
void ShardedStep::weigh(const Result& result) {
  std::int64_t filled = 0;
  for (const Shard& shard : result.shards) filled += shard.filled ? 1 : 0;
  const double share_of_moves = 1 / static_cast<double>(std::max<std::int64_t>(filled, 1));
  for (int local = 0; local < range_.size(); ++local) {
    const double weight = result.weights[static_cast<std::size_t>(range_.first + local)];
    for (std::int64_t at = 0; at < values_;) {
      // Up to the end of the slice, or to where gradients or flags end.
      std::int64_t end = std::min(values_, at - at % chunk_ + chunk_);
      for (const std::int64_t border : {gradients_, moves_at_})
        if (at < border) end = std::min(end, border);
      float* values = slice(local, at);
      if (at < gradients_)
        kernels::cpu().scale(values, values, weight, end - at);
      else if (at >= moves_at_)
        kernels::cpu().scale(values, values, share_of_moves, end - at);
      at = end;
    }
  }
}

// The sums over all shards: `values_` of them, and what fills the last slice.
std::vector<float> ShardedStep::add_up() {
  const auto ranks = static_cast<std::int64_t>(communicator_.ranks());
  const std::int64_t piece = chunk_ * range_.size();
  std::vector<float> received;
  float* shards = apart_.data();  // [shards, chunk] of this rank's slice
  if (ranks > 1) {
    received.resize(apart_.size());
    communicator_.all_to_all(received.data(), apart_.data(),
                             static_cast<std::size_t>(piece) * sizeof(float));
    shards = received.data();
  }
  for (int shard = 1; shard < range_.shards; ++shard)
    kernels::cpu().add(shards, shards, shards + shard * chunk_, chunk_);
  std::vector<float> sums(static_cast<std::size_t>(chunk_ * ranks));
  communicator_.all_gather(sums.data(), shards, static_cast<std::size_t>(chunk_) * sizeof(float));
  return sums;
}

void ShardedStep::unpack(const std::vector<float>& sums) {
  const float* gradient = sums.data();
  const float* has_gradient = sums.data() + gradients_;
  for (const nn::Tensor& parameter : parameters_) {
    parameter.zero_grad();
    if (*has_gradient++ > 0) {
      const nn::Tensor sum = nn::Tensor::empty(parameter.shape());
      std::copy_n(gradient, sum.count(), sum.data());
      parameter.add_gradient(sum.to(parameter.device()));
    }
    gradient += parameter.count();
  }
  const float* move = sums.data() + moves_at_;
  for (std::size_t i = 0; i < statistics_.size(); ++i) {
    for (float& value : kept_[i]) value += *move++;
    set_values(statistics_[i], kept_[i]);
  }
}

}  // namespace maskwatch::apps
