// For builds without MPI.
#include "kernels/mpi_communicator.h"

namespace maskwatch::kernels {

std::unique_ptr<MpiCommunicator> join_mpi() { return nullptr; }

}  // namespace maskwatch::kernels
