// Several processes at one piece of work, each called a rank: who this one is, and how values
// travel between them.
//
// A communicator only moves values. The reductions of MPI and NCCL do not fix the order of a sum,
// so whoever needs the same bytes on any number of ranks moves the addends and adds them itself.
//
// Memory is the host's. On a device (kernels/device.h) whose memory the host may not touch, the
// same calls would be queued behind the kernels that fill `from`, and `to` would be ready for the
// kernels queued after them.
#pragma once

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>

namespace maskwatch::kernels {

// Another rank cannot go on, or cannot be reached. `code` is the exit code that it asks for.
class RankFault : public std::runtime_error {
 public:
  explicit RankFault(const std::string& what, int code = 1)
      : std::runtime_error(what), code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

// Every rank makes the same calls in the same order, with the same sizes, from one thread. Each
// call waits until the memory may be used again, and throws RankFault where another rank is lost;
// std::invalid_argument for a root that is no rank.
class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  virtual int rank() const = 0;  // 0 .. ranks()-1
  virtual int ranks() const = 0;
  // The same among the ranks on this machine, which share its cores and devices.
  virtual int local_rank() const = 0;
  virtual int local_ranks() const = 0;

  // Piece r of `from` becomes piece rank() of rank r's `to`. Both hold ranks() pieces of
  // `bytes_each`, and do not overlap.
  virtual void all_to_all(void* to, const void* from, std::size_t bytes_each) = 0;
  // `to` becomes the `bytes` at `from` of every rank, in the order of ranks. No overlap.
  virtual void all_gather(void* to, const void* from, std::size_t bytes) = 0;
  // `memory` becomes that of `root`.
  virtual void broadcast(void* memory, std::size_t bytes, int root) = 0;
};

// A process that works alone: rank 0 of 1.
class OneProcess final : public Communicator {
 public:
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  int local_rank() const override { return 0; }
  int local_ranks() const override { return 1; }
  void all_to_all(void* to, const void* from, std::size_t bytes_each) override {
    if (bytes_each > 0) std::memcpy(to, from, bytes_each);
  }
  void all_gather(void* to, const void* from, std::size_t bytes) override {
    all_to_all(to, from, bytes);
  }
  void broadcast(void*, std::size_t, int root) override {
    if (root != 0) throw std::invalid_argument("broadcast: the root is not a rank");
  }
};

}  // namespace maskwatch::kernels
