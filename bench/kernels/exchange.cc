// What a training step's exchange costs between ranks: mpirun -n 4 bench/kernels/exchange. Prints,
// for gradients of several sizes cut into as many shards as there are ranks, the bytes that a rank
// sends, and the fastest and the median time of all-to-all and all-gather together
// (docs/clusters.md).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "kernels/mpi_communicator.h"

using namespace maskwatch;

namespace {

struct Times {
  double fastest, median;
};

Times milliseconds(kernels::Communicator& ranks, std::size_t bytes_each) {
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
  std::sort(taken.begin(), taken.end());
  return {taken.front(), taken[taken.size() / 2]};
}

}  // namespace

int main() {
  const auto ranks = kernels::join_mpi();
  if (!ranks) {
    std::puts("this build has no MPI");
    return 1;
  }
  const auto count = static_cast<std::size_t>(ranks->ranks());
  if (ranks->rank() == 0) std::puts("gradients, MiB   sent a rank, MiB   fastest, ms   median, ms");
  for (const std::size_t mebibytes : {1, 2, 4, 8, 16, 32}) {
    const std::size_t each = (mebibytes << 20) / count;
    const Times time = milliseconds(*ranks, each);
    if (ranks->rank() == 0)
      std::printf("%14zu %17.2f %13.2f %12.2f\n", mebibytes,
                  2.0 * static_cast<double>((count - 1) * each) / (1 << 20), time.fastest,
                  time.median);
  }
  ranks->finish();
}
