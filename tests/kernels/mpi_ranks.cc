// The cases of communicators over MPI: mpirun -n 3 mpi_ranks. Prints what is wrong, and ends with 1
// if anything is. With `fault`: rank 1 reports a fault, and rank 0 must hear of it.
#include <cstdio>
#include <cstring>

#include "kernels/mpi_communicator.h"
#include "tests/kernels/communicator_cases.h"

using namespace maskwatch;

namespace {

// The exit code, 0 where rank 0 hears what rank 1 said while it waits for it.
int hear_of_fault(kernels::MpiCommunicator& ranks) {
  if (ranks.rank() == 1) ranks.report_fault("the disk is full", 7, 30);
  try {
    int value = 0;
    ranks.broadcast(&value, sizeof value, 1);
  } catch (const kernels::RankFault& fault) {
    const bool right =
        ranks.rank() == 0 && fault.code() == 7 && !std::strcmp(fault.what(), "the disk is full");
    std::printf("%s\n", right ? "heard" : fault.what());
    std::fflush(stdout);
    ranks.abort(right ? 3 : 1);
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto ranks = kernels::join_mpi();
  if (!ranks) {
    std::puts("built without MPI");
    return 77;
  }
  if (argc > 1 && !std::strcmp(argv[1], "fault")) return hear_of_fault(*ranks);
  const auto faults = faults_of(*ranks);
  for (const std::string& fault : faults) std::printf("%s\n", fault.c_str());
  ranks->finish();
  return faults.empty() ? 0 : 1;
}
