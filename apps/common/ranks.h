// Programs that mpirun or srun may start several times over, to share one piece of work: each rank
// does its part, and rank 0 speaks for all.
#pragma once

#include <functional>

#include "kernels/communicator.h"

namespace maskwatch::apps {

// run_program() (program.h) with a communicator: that of the ranks which a launcher started, or of
// this process alone.
// What ranks other than 0 print is not seen. A fault on any rank becomes one line `error: ...` of
// rank 0 and ends all of them, with the exit code of that fault. If a rank is lost, by kill -9 say,
// the launcher ends the others, and rank 0 says in one line that it was stopped: exit code 1.
// Several ranks in a build without MPI, or with a launcher of another MPI than the build's, are an
// error: each process would do the whole work.
int run_program_on_ranks(
    int argc, char** argv,
    const std::function<int(int argc, char** argv, kernels::Communicator& communicator)>& body);

// How many threads a rank takes if the user wants `wanted`, 0 being no wish: 0 (all cores) for a
// process that is alone on its machine, else its share of the cores that it may use.
int threads_of_rank(int wanted, const kernels::Communicator& communicator);

}  // namespace maskwatch::apps
