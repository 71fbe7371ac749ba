#include "apps/common/ranks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iostream>
#include <iterator>
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

// Of the first of these environment variables that is set; 0 if none is.
int first_number(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* value = std::getenv(name)) return std::max(std::atoi(value), 0);
  return 0;
}

// How many processes a launcher says that it started: Open MPI's mpirun, MPICH's and Slurm's
// launchers of that kind, srun. 0: there is no launcher.
int launched_ranks() {
  return first_number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"});
}

// Ends a program that has not found the other ranks, all of which come here: the first one says
// why, and has said it before a launcher ends all because another has ended.
int end_before_start(const Outcome& outcome) {
  if (first_number({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"}) == 0)
    return end_program(outcome);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  return outcome.code;
}

std::unique_ptr<kernels::MpiCommunicator> join_launched() {
  const int launched = launched_ranks();
  if (launched <= 1) return nullptr;
  auto joined = kernels::join_mpi();
  if (!joined)
    throw UsageError(fmt::format("started as {} processes, but this build has no MPI", launched),
                     "build with libopenmpi-dev and -Dmpi=enabled, or start one process");
  if (joined->ranks() != launched)
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

// Whether this rank ends by itself: then it has said, or will, what there is to say.
std::atomic<bool> ending{false};

// In memory that rank 0 and rank 1 of its machine share: whether one of them has taken it upon
// itself to say why all end. Null where they share none.
std::atomic<bool>* spoken = nullptr;

// Rank 0 has said what there is to say, or will.
void end_by_itself(bool first) {
  ending = true;
  if (first && spoken) *spoken = true;
}

// Where that memory is: a file of rank 0.
struct Place {
  pid_t process = getpid();
  int file = -1;
  std::array<char, 256> machine{};
};

std::atomic<bool>* map_flag(int file) {
  constexpr std::size_t bytes = sizeof(std::atomic<bool>);
  static_assert(std::atomic<bool>::is_always_lock_free);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::atomic<bool>*>(memory);
}

// Whether a process of this machine has ended, though nobody may have asked yet how.
bool has_ended(pid_t process) {
  if (kill(process, 0) != 0) return true;
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name = stat.rfind(") ");  // which may hold anything, and the state behind it
  return name != std::string::npos && name + 2 < stat.size() && stat[name + 2] == 'Z';
}

// Gives rank 0 its turn to speak: it may be about to, or be the one that is lost, even if that is
// not to be seen yet. Not for long, for a launcher soon ends those who are left.
void wait_for_rank_0(pid_t rank_0) {
  constexpr auto kLonger = std::chrono::milliseconds(5);
  for (auto left = std::chrono::milliseconds(100); left.count() > 0; left -= kLonger) {
    if (*spoken || has_ended(rank_0)) return;
    std::this_thread::sleep_for(kLonger);
  }
}

// A second one that speaks where rank 0 is the one that is lost.
bool is_second(const Place& mine, const Place& rank_0, const kernels::Communicator& ranks) {
  return ranks.rank() > 0 && ranks.local_rank() == 1 && mine.machine == rank_0.machine;
}

// Returns where rank 0 is.
Place share_flag(kernels::Communicator& ranks, const Place& mine) {
  Place rank_0 = mine;
  if (ranks.rank() == 0) {
    rank_0.file = memfd_create("maskwatch", MFD_CLOEXEC);
    if (rank_0.file >= 0 && ftruncate(rank_0.file, sizeof *spoken) == 0)
      spoken = map_flag(rank_0.file);
  }
  ranks.broadcast(&rank_0, sizeof rank_0, 0);
  if (!is_second(mine, rank_0, ranks)) return rank_0;
  const int file =
      open(fmt::format("/proc/{}/fd/{}", rank_0.process, rank_0.file).c_str(), O_RDWR | O_CLOEXEC);
  if (file >= 0) {
    spoken = map_flag(file);
    close(file);
  }
  return rank_0;
}

// A launcher ends ranks with SIGTERM, whatever became of one of them, and a second later with
// SIGKILL. Files are written atomically, so nothing but one line is left to do. Rank 0 says it, or,
// where rank 0 is the one that is lost and so says nothing, rank 1 of its machine. A thread waits
// for the signal: the main thread may be within a write to a slow disk, which no signal interrupts.
// SIGTERM must be blocked in all threads.
void speak_when_stopped(kernels::Communicator& ranks, int true_stderr) {
  Place mine;
  gethostname(mine.machine.data(), mine.machine.size() - 1);
  const pid_t rank_0 = share_flag(ranks, mine).process;
  const bool first = ranks.rank() == 0;
  std::thread([=] {
    const sigset_t set = only_sigterm();
    for (int signal = 0; sigwait(&set, &signal) != 0;) {
    }
    if (ending && first) return;
    if (!ending && (first || spoken)) {
      if (!first) wait_for_rank_0(rank_0);
      if (!spoken || !spoken->exchange(true)) {
        [[maybe_unused]] const auto written = write(true_stderr, kStopped.data(), kStopped.size());
        std::this_thread::sleep_for(kTimeToPassOn);
      }
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

// Ends with all ranks, or ends all of them. Returns the exit code of this one: where all went well
// rank 0's alone tells how, for a launcher ends all ranks when the first of them ends otherwise.
int end_together(kernels::MpiCommunicator& ranks, Outcome outcome, int true_stderr) {
  if (outcome.fault.empty()) {
    std::cout.flush();
    std::fflush(stdout);
    ending = ranks.rank() > 0;
    const Outcome end = outcome_of([&] {
      ranks.finish();
      return 0;
    });
    end_by_itself(ranks.rank() == 0);
    if (end.fault.empty()) return ranks.rank() > 0 ? done : end_program(outcome);
    outcome = end;
  }
  end_by_itself(ranks.rank() == 0);
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
  if (!start.fault.empty()) return end_before_start(start);
  if (!ranks) {
    kernels::OneProcess alone;
    return end_program(outcome_of([&] { return body(argc, argv, alone); }));
  }
  const int true_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (ranks->rank() > 0) fall_silent();
  const Outcome outcome = outcome_of([&] {
    speak_when_stopped(*ranks, true_stderr);
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
