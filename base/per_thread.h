// Lends each task of a loop a workspace of its own while it runs: memory, a plan, a generator.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace maskwatch {

// Lends each task a T of its own:
//
//   PerThread<Workspace> workspaces([] { return Workspace(); });
//   parallel_for(tasks, [&](std::int64_t task) {
//     const auto workspace = workspaces.take();
//     work(*workspace, task);
//   });
//
// A T is made when none is free, so there are never more than threads that work at once, whatever
// set_threads says later. That holds also where thread_index() would not tell the threads apart: in
// loops of several callers, and outside loops. All functions may be called from any thread.
template <typename T>
class PerThread {
  struct State;

 public:
  // A T on loan; the end of the scope gives it back. It must not outlive its PerThread.
  class Loan {
   public:
    Loan(Loan&& other) noexcept : state_(other.state_), value_(std::exchange(other.value_, {})) {}
    Loan& operator=(Loan&&) = delete;
    ~Loan() {
      if (!value_) return;
      const std::lock_guard lock(state_.mutex);
      state_.free.push_back(value_);
    }
    T& operator*() const { return *value_; }
    T* operator->() const { return value_; }

   private:
    friend class PerThread;
    Loan(State& state, T* value) : state_(state), value_(value) {}
    State& state_;
    T* value_;
  };

  // `make` makes a T, on the thread that needs one, never two at once. The first `ready` are made
  // here: what `make` throws later, inside a parallel_for, ends the program.
  explicit PerThread(std::function<T()> make, int ready = 1)
      : state_(std::make_unique<State>(std::move(make))) {
    std::vector<Loan> loans;
    while (static_cast<int>(loans.size()) < ready) loans.push_back(take());
  }

  Loan take() {
    const std::lock_guard lock(state_->mutex);
    if (state_->free.empty()) make_one();
    T* value = state_->free.back();
    state_->free.pop_back();
    return Loan(*state_, value);
  }

 private:
  struct State {
    explicit State(std::function<T()> make) : make(std::move(make)) {}
    const std::function<T()> make;
    std::mutex mutex;
    std::vector<std::unique_ptr<T>> all;
    std::vector<T*> free;  // the last given back is taken first: it is most likely in the cache
  };

  // Under the lock.
  void make_one() {
    std::unique_ptr<T> made(new T(state_->make()));
    state_->free.reserve(state_->all.size() + 1);  // so that giving back never throws
    state_->all.push_back(std::move(made));
    state_->free.push_back(state_->all.back().get());
  }

  std::unique_ptr<State> state_;  // stays where it is when a PerThread moves
};

}  // namespace maskwatch
