#include "apps/common/share.h"

#include <algorithm>
#include <cstdint>

namespace maskwatch::apps {

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
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const auto ranks = static_cast<std::size_t>(communicator.ranks());
  MessageWriter mine;
  for (std::size_t i = rank; i < count; i += ranks) {
    mine.put_text(work(i));
    // The others are about as far.
    if (progress && rank == 0) progress(std::min(count, i + ranks));
  }
  const std::vector<std::string> messages = gather_messages(communicator, mine.bytes());
  std::vector<MessageReader> readers(messages.begin(), messages.end());
  std::vector<std::string> results;
  for (std::size_t i = 0; i < count; ++i) results.push_back(readers[i % ranks].get_text());
  return results;
}

}  // namespace maskwatch::apps
