// The ranks that mpirun or srun started, over MPI. Optional: -Dmpi (mpi_communicator_none.cc is
// what a build without it has).
#pragma once

#include <memory>
#include <string>

#include "kernels/communicator.h"

namespace maskwatch::kernels {

class MpiCommunicator : public Communicator {
 public:
  // Says to rank 0 that this rank cannot go on: the call that rank 0 waits in, or its next one,
  // throws a RankFault of this text and code. Then waits to be ended by rank 0, for `seconds` at
  // most. Not for rank 0.
  virtual void report_fault(const std::string& what, int code, double seconds) = 0;
  // Ends all ranks at once, with this exit code. Does not return.
  virtual void abort(int code) = 0;
  // Waits until all ranks come here, and leaves them. RankFault as for other calls.
  virtual void finish() = 0;
};

// Joins the other ranks; once in the life of a process. Null where the build has no MPI.
// RankFault where MPI cannot start.
std::unique_ptr<MpiCommunicator> join_mpi();

}  // namespace maskwatch::kernels
