#include "apps/common/share.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>

#include "base/parallel.h"

namespace maskwatch::apps {
namespace {

// Which items are whose: item i is the rank's i % ranks. The others are about as far as this one.
struct Turn {
  explicit Turn(const kernels::Communicator& communicator)
      : rank(static_cast<std::size_t>(communicator.rank())),
        ranks(static_cast<std::size_t>(communicator.ranks())) {}
  std::size_t count_of(std::size_t count) const { return (count + ranks - 1 - rank) / ranks; }
  std::size_t item(std::size_t k) const { return rank + k * ranks; }
  std::size_t rank, ranks;
};

std::vector<std::string> results_of_all(kernels::Communicator& communicator, std::size_t count,
                                        std::vector<std::string>& mine) {
  if (communicator.ranks() == 1) return std::move(mine);
  MessageWriter message;
  for (const std::string& result : mine) message.put_text(result);
  const std::vector<std::string> messages = gather_messages(communicator, message.bytes());
  std::vector<MessageReader> readers(messages.begin(), messages.end());
  std::vector<std::string> results;
  for (std::size_t i = 0; i < count; ++i) results.push_back(readers[i % readers.size()].get_text());
  return results;
}

}  // namespace

std::vector<std::string> gather_messages(kernels::Communicator& communicator,
                                         const std::string& mine) {
  const auto ranks = static_cast<std::size_t>(communicator.ranks());
  if (ranks == 1) return {mine};
  const std::uint64_t size = mine.size();
  std::vector<std::uint64_t> sizes(ranks);
  communicator.all_gather(sizes.data(), &size, sizeof size);
  // Pieces of one size: that of the longest.
  const auto longest = static_cast<std::size_t>(*std::max_element(sizes.begin(), sizes.end()));
  std::string padded = mine, all(ranks * longest, '\0');
  padded.resize(longest);
  communicator.all_gather(all.data(), padded.data(), longest);
  std::vector<std::string> messages;
  for (std::size_t rank = 0; rank < ranks; ++rank)
    messages.push_back(all.substr(rank * longest, static_cast<std::size_t>(sizes[rank])));
  return messages;
}

std::string broadcast_message(kernels::Communicator& communicator, const std::string& of_rank_0) {
  std::string message = communicator.rank() == 0 ? of_rank_0 : "";
  std::uint64_t size = message.size();
  communicator.broadcast(&size, sizeof size, 0);
  message.resize(static_cast<std::size_t>(size));
  communicator.broadcast(message.data(), message.size(), 0);
  return message;
}

std::vector<std::string> share_out(kernels::Communicator& communicator, std::size_t count,
                                   const std::function<std::string(std::size_t)>& work,
                                   const std::function<void(std::size_t done)>& progress) {
  const Turn turn(communicator);
  std::vector<std::string> mine;
  for (std::size_t k = 0; k < turn.count_of(count); ++k) {
    mine.push_back(work(turn.item(k)));
    if (progress && turn.rank == 0) progress(std::min(count, (k + 1) * turn.ranks));
  }
  return results_of_all(communicator, count, mine);
}

std::vector<std::string> share_out_on_threads(
    kernels::Communicator& communicator, std::size_t count,
    const std::function<std::string(std::size_t)>& work,
    const std::function<void(std::size_t done)>& progress) {
  const Turn turn(communicator);
  std::vector<std::string> mine(turn.count_of(count));
  std::mutex mutex;
  std::size_t done = 0;
  parallel_for(std::ssize(mine), [&](std::int64_t task) {
    const auto k = static_cast<std::size_t>(task);
    mine[k] = work(turn.item(k));
    const std::lock_guard lock(mutex);
    ++done;
    if (progress && turn.rank == 0) progress(std::min(count, done * turn.ranks));
  });
  return results_of_all(communicator, count, mine);
}

}  // namespace maskwatch::apps
