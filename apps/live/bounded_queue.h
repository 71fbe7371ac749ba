// A queue between two threads that holds a limited number of items: the giver waits when it is
// full, the taker when it is empty.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace maskwatch::apps {

template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // Waits for room. False, and `item` is lost, once the queue is closed.
  bool push(T item) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || items_.size() < capacity_; });
    if (closed_) return false;
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }

  // False if the queue is full; `beyond` items more than its capacity still fit.
  bool try_push(T item, std::size_t beyond = 0) {
    const std::lock_guard lock(mutex_);
    if (closed_ || (items_.size() >= capacity_ && items_.size() - capacity_ >= beyond))
      return false;
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }

  // Waits for an item; nothing once the queue is closed and empty.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    room_.notify_one();
    return item;
  }

  // No more comes in; what is there can still be taken, unless `discard`.
  void close(bool discard = false) {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    if (discard) items_.clear();
    filled_.notify_all();
    room_.notify_all();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace maskwatch::apps
