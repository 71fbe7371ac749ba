// Hands out things that keep their memory from one use to the next: pictures, frames.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace maskwatch::apps {

template <class T>
class RecyclingPool {
 public:
  // One as its last user left it, or a new one. It comes back when nobody holds it any more, from
  // any thread; it may outlive the pool.
  std::shared_ptr<T> take() {
    std::unique_ptr<T> item;
    {
      const std::lock_guard lock(store_->mutex);
      if (!store_->free.empty()) {
        item = std::move(store_->free.back());
        store_->free.pop_back();
      }
    }
    if (!item) item = std::make_unique<T>();
    return {item.release(), [store = store_](T* done) {
              std::unique_ptr<T> back(done);
              const std::lock_guard lock(store->mutex);
              store->free.push_back(std::move(back));
            }};
  }

 private:
  struct Store {
    std::mutex mutex;
    std::vector<std::unique_ptr<T>> free;
  };
  std::shared_ptr<Store> store_ = std::make_shared<Store>();
};

}  // namespace maskwatch::apps
