// Work that is shared out among ranks (kernels/communicator.h), and the messages in which they tell
// each other what came of it.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kernels/communicator.h"

namespace maskwatch::apps {

// Values one after the other, as they lie in memory: all ranks run the same program on the same
// kind of machine.
class MessageWriter {
 public:
  template <typename T>
  void put(const T& value) requires std::is_trivially_copyable_v<T> {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_text(std::string_view text) {
    put(text.size());
    bytes_.append(text);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Reads them in the order in which they were put. std::out_of_range past the end. Keeps a reference
// to the message.
class MessageReader {
 public:
  explicit MessageReader(const std::string& bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }
  template <typename T>
  T get() requires std::is_trivially_copyable_v<T> {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string get_text() { return std::string(take(get<std::size_t>())); }

 private:
  std::string_view take(std::size_t bytes) {
    if (bytes > rest_.size()) throw std::out_of_range("a message is shorter than it says");
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }

  std::string_view rest_;
};

// The messages of all ranks, in their order, on every rank.
std::vector<std::string> gather_messages(kernels::Communicator& communicator,
                                         const std::string& mine);

// That of rank 0, on every rank.
std::string broadcast_message(kernels::Communicator& communicator, const std::string& of_rank_0);

// work(i) for i = 0 .. count-1, each on one rank: i % ranks. What it returned, in the order of i,
// on every rank. `progress`, on rank 0, is told about how many are done.
std::vector<std::string> share_out(kernels::Communicator& communicator, std::size_t count,
                                   const std::function<std::string(std::size_t)>& work,
                                   const std::function<void(std::size_t done)>& progress = {});

}  // namespace maskwatch::apps
