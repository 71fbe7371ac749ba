// Ranks that are threads of one process, for tests: on_threads(4, [](Communicator& c) { ... }).
#pragma once

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/communicator.h"

namespace maskwatch {

// What the ranks of one group share.
class ThreadGroup {
 public:
  explicit ThreadGroup(int ranks) : memory(static_cast<std::size_t>(ranks)), ranks_(ranks) {}

  int ranks() const { return ranks_; }

  // Waits until all ranks are here. kernels::RankFault once a rank has given up.
  void meet() {
    std::unique_lock lock(mutex_);
    const long round = round_;
    if (++waiting_ == ranks_) {
      waiting_ = 0;
      ++round_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return round_ != round || lost_; });
    if (round_ == round) throw kernels::RankFault("a rank is lost");
  }

  void give_up() {
    const std::lock_guard lock(mutex_);
    lost_ = true;
    changed_.notify_all();
  }

  std::vector<void*> memory;  // of each rank, between two meetings

 private:
  int ranks_, waiting_ = 0;
  long round_ = 0;
  bool lost_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
};

class ThreadCommunicator final : public kernels::Communicator {
 public:
  ThreadCommunicator(ThreadGroup& group, int rank) : group_(group), rank_(rank) {}

  int rank() const override { return rank_; }
  int ranks() const override { return group_.ranks(); }
  int local_rank() const override { return rank_; }
  int local_ranks() const override { return group_.ranks(); }

  void all_to_all(void* to, const void* from, std::size_t bytes_each) override {
    exchange(const_cast<void*>(from), [&](int other, const char* theirs) {
      std::copy_n(theirs + bytes_each * index(rank_), bytes_each, piece(to, other, bytes_each));
    });
  }
  void all_gather(void* to, const void* from, std::size_t bytes) override {
    exchange(const_cast<void*>(from), [&](int other, const char* theirs) {
      std::copy_n(theirs, bytes, piece(to, other, bytes));
    });
  }
  void broadcast(void* memory, std::size_t bytes, int root) override {
    if (root < 0 || root >= ranks())
      throw std::invalid_argument("broadcast: the root is not a rank");
    exchange(memory, [&](int other, const char* theirs) {
      if (other == root && rank_ != root) std::copy_n(theirs, bytes, static_cast<char*>(memory));
    });
  }

 private:
  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
  static char* piece(void* memory, int rank, std::size_t bytes) {
    return static_cast<char*>(memory) + bytes * index(rank);
  }

  void exchange(void* mine, const std::function<void(int, const char*)>& take) {
    group_.memory[index(rank_)] = mine;
    group_.meet();
    for (int other = 0; other < ranks(); ++other)
      take(other, static_cast<const char*>(group_.memory[index(other)]));
    group_.meet();
  }

  ThreadGroup& group_;
  int rank_;
};

// Runs `body` on every rank. Throws what the first rank threw that did not just miss another.
inline void on_threads(int ranks, const std::function<void(kernels::Communicator&)>& body) {
  ThreadGroup group(ranks);
  std::vector<std::exception_ptr> faults(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      ThreadCommunicator communicator(group, rank);
      try {
        body(communicator);
      } catch (...) {
        faults[static_cast<std::size_t>(rank)] = std::current_exception();
        group.give_up();
      }
    });
  for (std::thread& thread : threads) thread.join();
  std::exception_ptr missed;
  for (const std::exception_ptr& fault : faults) {
    if (!fault) continue;
    try {
      std::rethrow_exception(fault);
    } catch (const kernels::RankFault&) {
      missed = fault;
    }
  }
  if (missed) std::rethrow_exception(missed);
}

}  // namespace maskwatch
