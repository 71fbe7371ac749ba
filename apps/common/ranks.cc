#include "apps/common/ranks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "apps/common/program.h"
#include "kernels/mpi_communicator.h"

namespace maskwatch::apps {
namespace {

// How long a rank that cannot go on waits for rank 0 to hear of it and end all.
constexpr double kPatience = 60;

// How many processes a launcher says that it started: Open MPI's mpirun, MPICH's and Slurm's
// launchers of that kind, srun. 0: there is no launcher.
int launched_ranks() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"})
    if (const char* value = std::getenv(name)) return std::max(std::atoi(value), 0);
  return 0;
}

std::unique_ptr<kernels::MpiCommunicator> join_launched() {
  const int launched = launched_ranks();
  if (launched == 0) return nullptr;
  auto joined = kernels::join_mpi();
  if (!joined && launched > 1)
    throw UsageError(fmt::format("started as {} processes, but this build has no MPI", launched),
                     "build with libopenmpi-dev and -Dmpi=enabled, or start one process");
  if (joined && joined->ranks() != launched)
    throw UsageError(
        fmt::format("started as {} processes, of which MPI sees {}", launched, joined->ranks()),
        "the launcher must be of the MPI that the program was built with; srun may need "
        "--mpi=pmix");
  return joined;
}

// A launcher that has seen all ranks end may leave unread what they wrote last.
constexpr auto kTimeToPassOn = std::chrono::milliseconds(200);

constexpr std::string_view kStopped =
    "error: stopped: another process was lost, or the launcher was told to stop (a training goes "
    "on with --resume)\n";

sigset_t only_sigterm() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  return set;
}

// Where rank 0 is, by which a rank of the same machine can tell whether it still runs.
struct Place {
  pid_t process = getpid();
  std::array<char, 256> machine{};
};

Place place_of_rank_0(kernels::Communicator& ranks, const Place& mine) {
  Place place = mine;
  ranks.broadcast(&place, sizeof place, 0);
  return place;
}

// A launcher ends ranks with SIGTERM, whatever became of one of them, and a second later with
// SIGKILL. Files are written atomically, so nothing but one line is left to do. Rank 0 says it, or,
// where rank 0 is the one that is lost, a rank of the same machine. A thread waits for the signal:
// the main thread may be within a write to a slow disk, which no signal interrupts. SIGTERM must be
// blocked in all threads.
void speak_when_stopped(kernels::Communicator& ranks, int true_stderr) {
  Place mine;
  gethostname(mine.machine.data(), mine.machine.size() - 1);
  const Place rank_0 = place_of_rank_0(ranks, mine);
  const bool first = ranks.rank() == 0;
  const bool second = !first && ranks.local_rank() == 1 && rank_0.machine == mine.machine;
  std::thread([=] {
    const sigset_t set = only_sigterm();
    for (int signal = 0; sigwait(&set, &signal) != 0;) {
    }
    if (first || (second && kill(rank_0.process, 0) != 0)) {
      [[maybe_unused]] const auto written = write(true_stderr, kStopped.data(), kStopped.size());
      std::this_thread::sleep_for(kTimeToPassOn);
    }
    _exit(failure);
  }).detach();
}

// Nothing that this rank prints is seen from now on. Errors go to rank 0.
void fall_silent() {
  std::fflush(nullptr);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0) return;
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) dup2(nowhere, stream);
  close(nowhere);
}

// Ends with all ranks, or ends all of them. Returns the exit code of this one.
int end_together(kernels::MpiCommunicator& ranks, Outcome outcome, int true_stderr) {
  if (outcome.fault.empty()) {
    const Outcome end = outcome_of([&] {
      ranks.finish();
      return 0;
    });
    if (end.fault.empty()) return end_program(outcome);
    outcome = end;
  }
  if (ranks.rank() > 0) {
    ranks.report_fault(outcome.fault, outcome.code, kPatience);
    dup2(true_stderr, STDERR_FILENO);  // rank 0 has not answered
  }
  end_program(outcome);
  std::fflush(nullptr);
  ranks.abort(outcome.code);
  return outcome.code;
}

}  // namespace

int run_program_on_ranks(
    int argc, char** argv,
    const std::function<int(int argc, char** argv, kernels::Communicator& communicator)>& body) {
  begin_program();
  std::unique_ptr<kernels::MpiCommunicator> ranks;
  // Before MPI starts threads of its own, which inherit this.
  const sigset_t sigterm = only_sigterm();
  if (launched_ranks() > 1) pthread_sigmask(SIG_BLOCK, &sigterm, nullptr);
  const Outcome start = outcome_of([&] {
    ranks = join_launched();
    return 0;
  });
  if (!start.fault.empty()) return end_program(start);
  if (!ranks) {
    kernels::OneProcess alone;
    return end_program(outcome_of([&] { return body(argc, argv, alone); }));
  }
  const int true_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (ranks->rank() > 0) fall_silent();
  const Outcome outcome = outcome_of([&] {
    if (ranks->ranks() > 1) speak_when_stopped(*ranks, true_stderr);
    return body(argc, argv, *ranks);
  });
  return end_together(*ranks, outcome, true_stderr);
}

int threads_of_rank(int wanted, const kernels::Communicator& communicator) {
  if (wanted > 0 || communicator.local_ranks() == 1 || std::getenv("OMP_NUM_THREADS"))
    return wanted;
  const auto usable = static_cast<int>(std::thread::hardware_concurrency());
  const auto all = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  // Bound to a part of the cores, which is then its own.
  if (usable < all) {
    if (usable * communicator.local_ranks() < all && communicator.rank() == 0)
      tell(
          fmt::format("each process may use {} of {} cores: mpirun --bind-to none, or --map-by "
                      "slot:PE={}, lets it use its share",
                      usable, all, std::max(all / communicator.local_ranks(), 1)));
    return usable;
  }
  return std::max(usable / communicator.local_ranks(), 1);
}

}  // namespace maskwatch::apps
