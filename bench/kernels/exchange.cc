// What a training step's exchange costs between ranks: mpirun -n 4 bench/kernels/exchange. Prints,
// for gradients of several sizes cut into as many shards as there are ranks, the bytes that a rank
// sends and the median time of all-to-all and all-gather together (docs/clusters.md).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "kernels/mpi_communicator.h"

using namespace maskwatch;

namespace {

double median_milliseconds(kernels::Communicator& ranks, std::size_t bytes_each) {
  const std::size_t pieces = static_cast<std::size_t>(ranks.ranks());
  std::vector<char> from(pieces * bytes_each, 1), to(pieces * bytes_each);
  std::vector<double> taken;
  for (int i = 0; i < 30; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ranks.all_to_all(to.data(), from.data(), bytes_each);
    ranks.all_gather(from.data(), to.data(), bytes_each);
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    taken.push_back(time.count());
  }
  std::nth_element(taken.begin(), taken.begin() + 15, taken.end());
  return taken[15];
}

}  // namespace

int main() {
  const auto ranks = kernels::join_mpi();
  if (!ranks) {
    std::puts("this build has no MPI");
    return 1;
  }
  const auto count = static_cast<std::size_t>(ranks->ranks());
  if (ranks->rank() == 0) std::puts("gradients, MiB   sent a rank, MiB   time, ms");
  for (const std::size_t mebibytes : {1, 2, 4, 8, 16, 32}) {
    const std::size_t each = (mebibytes << 20) / count;
    const double time = median_milliseconds(*ranks, each);
    if (ranks->rank() == 0)
      std::printf("%14zu %17.2f %10.2f\n", mebibytes,
                  2.0 * static_cast<double>((count - 1) * each) / (1 << 20), time);
  }
  ranks->finish();
}
