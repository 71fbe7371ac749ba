// Joins what several threads ask for into batches, without any of them waiting for company: who
// asks while nothing runs is served at once, and what is asked for meanwhile is the next batch, in
// the order in which it came.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace maskwatch::apps {

template <typename Request, typename Result>
class Batcher {
 public:
  // `run` gives a result for each request; one batch runs at a time, in the thread of one of those
  // who wait for it. `most`, asked before each batch, says how many requests it may have.
  Batcher(std::function<std::vector<Result>(std::span<const Request>)> run,
          std::function<std::size_t()> most)
      : run_(std::move(run)), most_(std::move(most)) {}

  // Throws what run() threw for this request: where a batch fails, each of it is tried by itself.
  Result ask(Request request) {
    Asked mine{std::move(request), {}, {}, false};
    std::unique_lock lock(mutex_);
    waiting_.push_back(&mine);
    changed_.wait(
        lock, [&] { return mine.done || (!busy_ && alone_ == 0 && waiting_.front() == &mine); });
    if (!mine.done) run_batch(lock);
    if (mine.fault) std::rethrow_exception(mine.fault);
    return std::move(*mine.result);
  }

  // Calls body() while no batch runs: after the present one, before those that wait.
  template <typename Body>
  void alone(const Body& body) {
    std::unique_lock lock(mutex_);
    ++alone_;
    changed_.wait(lock, [&] { return !busy_; });
    --alone_;
    const Busy busy(*this, lock);
    body();
  }

 private:
  struct Asked {
    Request request;
    std::optional<Result> result;
    std::exception_ptr fault;
    bool done;
  };

  // Holds the turn, and lets go of the lock meanwhile.
  class Busy {
   public:
    Busy(Batcher& batcher, std::unique_lock<std::mutex>& lock) : batcher_(batcher), lock_(lock) {
      batcher_.busy_ = true;
      lock_.unlock();
    }
    Busy(const Busy&) = delete;
    ~Busy() {
      lock_.lock();
      batcher_.busy_ = false;
      batcher_.changed_.notify_all();
    }

   private:
    Batcher& batcher_;
    std::unique_lock<std::mutex>& lock_;
  };

  void run_batch(std::unique_lock<std::mutex>& lock) {
    std::vector<Asked*> batch;
    for (std::size_t count = std::min(std::max(most_(), std::size_t{1}), waiting_.size());
         batch.size() < count; waiting_.pop_front())
      batch.push_back(waiting_.front());
    {
      const Busy busy(*this, lock);
      if (!serve(batch))
        for (Asked*& one : batch) serve(std::span(&one, 1));
    }
    for (Asked* asked : batch) asked->done = true;
  }

  // Gives each its result or the fault. Whether that is all: of several, a fault may be another's.
  bool serve(std::span<Asked* const> batch) {
    try {
      std::vector<Request> requests;
      for (const Asked* asked : batch) requests.push_back(asked->request);
      std::vector<Result> results = run_(requests);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        batch[i]->result = std::move(results[i]);
        batch[i]->fault = nullptr;
      }
      return true;
    } catch (...) {
      for (Asked* asked : batch) asked->fault = std::current_exception();
      return batch.size() == 1;
    }
  }

  const std::function<std::vector<Result>(std::span<const Request>)> run_;
  const std::function<std::size_t()> most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Asked*> waiting_;
  bool busy_ = false;
  int alone_ = 0;  // who wait for that
};

}  // namespace maskwatch::apps
