// What every communicator must do, as lines of what it got wrong: threads in test_kernels, MPI in a
// program of its own.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/communicator.h"

namespace maskwatch {

// Every rank calls it. From nothing to a few MiB, odd sizes too.
inline std::vector<std::string> faults_of(kernels::Communicator& communicator) {
  std::vector<std::string> faults;
  const auto demand = [&](bool holds, const std::string& what) {
    if (!holds) faults.push_back("rank " + std::to_string(communicator.rank()) + ": " + what);
  };
  const auto ranks = static_cast<std::size_t>(communicator.ranks());
  const auto rank = static_cast<std::size_t>(communicator.rank());
  demand(rank < ranks, "rank");
  demand(communicator.local_rank() < communicator.local_ranks(), "local rank");
  demand(communicator.local_ranks() <= communicator.ranks(), "local ranks");
  // What rank `from` gives rank `to` at place i.
  const auto value = [](std::size_t from, std::size_t to, std::size_t i) {
    return static_cast<unsigned char>(from * 31 + to * 7 + i * 13 + i / 251);
  };
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{13}, std::size_t{4096}, std::size_t{3} << 20}) {
    const std::string size = " of " + std::to_string(bytes) + " bytes";
    std::vector<unsigned char> from(ranks * bytes), to(ranks * bytes, 0xee);
    for (std::size_t r = 0; r < ranks; ++r)
      for (std::size_t i = 0; i < bytes; ++i) from[r * bytes + i] = value(rank, r, i);
    communicator.all_to_all(to.data(), from.data(), bytes);
    bool right = true;
    for (std::size_t r = 0; r < ranks; ++r)
      for (std::size_t i = 0; i < bytes; ++i) right &= to[r * bytes + i] == value(r, rank, i);
    demand(right, "all_to_all" + size);

    from.resize(bytes);
    for (std::size_t i = 0; i < bytes; ++i) from[i] = value(rank, 0, i);
    communicator.all_gather(to.data(), from.data(), bytes);
    right = true;
    for (std::size_t r = 0; r < ranks; ++r)
      for (std::size_t i = 0; i < bytes; ++i) right &= to[r * bytes + i] == value(r, 0, i);
    demand(right, "all_gather" + size);

    for (std::size_t root = 0; root < ranks; ++root) {
      for (std::size_t i = 0; i < bytes; ++i) from[i] = value(rank, root, i);
      communicator.broadcast(from.data(), bytes, static_cast<int>(root));
      right = true;
      for (std::size_t i = 0; i < bytes; ++i) right &= from[i] == value(root, root, i);
      demand(right, "broadcast" + size + " from " + std::to_string(root));
    }
  }
  for (const int root : {-1, communicator.ranks()}) {
    bool refused = false;
    try {
      communicator.broadcast(nullptr, 0, root);
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    demand(refused, "a root that is not a rank");
  }
  return faults;
}

}  // namespace maskwatch
