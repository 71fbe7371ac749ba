#include "kernels/mpi_communicator.h"

#include <mpi.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace maskwatch::kernels {
namespace {

using Clock = std::chrono::steady_clock;

// While it waits, a rank first gives its core to whoever wants it, and then sleeps: several ranks
// may share a core, and MPI's own waiting never lets go of one.
constexpr auto kYielding = std::chrono::milliseconds(20);
constexpr auto kPause = std::chrono::microseconds(200);

constexpr int kFaultTag = 1;

void require(int result, const char* call) {
  if (result == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(result, text.data(), &length);
  throw RankFault(std::string("lost touch with another rank: ") + call + ": " + text.data());
}

int count_of_bytes(std::size_t bytes) {
  if (bytes > INT_MAX) throw std::invalid_argument("MPI: more than 2 GiB in one piece");
  return static_cast<int>(bytes);
}

class Joined final : public MpiCommunicator {
 public:
  Joined() {
    // Only the main thread calls MPI.
    int provided = 0;
    require(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    require(MPI_Comm_dup(MPI_COMM_WORLD, &faults_), "MPI_Comm_dup");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks_);
    MPI_Comm here = MPI_COMM_NULL;
    require(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here),
            "MPI_Comm_split_type");
    MPI_Comm_rank(here, &local_rank_);
    MPI_Comm_size(here, &local_ranks_);
    MPI_Comm_free(&here);
  }

  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  int local_rank() const override { return local_rank_; }
  int local_ranks() const override { return local_ranks_; }

  void all_to_all(void* to, const void* from, std::size_t bytes_each) override {
    const int count = count_of_bytes(bytes_each);
    MPI_Request request = MPI_REQUEST_NULL;
    require(MPI_Ialltoall(from, count, MPI_BYTE, to, count, MPI_BYTE, MPI_COMM_WORLD, &request),
            "MPI_Ialltoall");
    wait(request, "MPI_Ialltoall");
  }

  void all_gather(void* to, const void* from, std::size_t bytes) override {
    const int count = count_of_bytes(bytes);
    MPI_Request request = MPI_REQUEST_NULL;
    require(MPI_Iallgather(from, count, MPI_BYTE, to, count, MPI_BYTE, MPI_COMM_WORLD, &request),
            "MPI_Iallgather");
    wait(request, "MPI_Iallgather");
  }

  void broadcast(void* memory, std::size_t bytes, int root) override {
    if (root < 0 || root >= ranks_)
      throw std::invalid_argument("broadcast: the root is not a rank");
    MPI_Request request = MPI_REQUEST_NULL;
    require(MPI_Ibcast(memory, count_of_bytes(bytes), MPI_BYTE, root, MPI_COMM_WORLD, &request),
            "MPI_Ibcast");
    wait(request, "MPI_Ibcast");
  }

  void report_fault(const std::string& what, int code, double seconds) override {
    std::vector<char> message(sizeof code + what.size());
    std::memcpy(message.data(), &code, sizeof code);
    std::memcpy(message.data() + sizeof code, what.data(), what.size());
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Isend(message.data(), count_of_bytes(message.size()), MPI_BYTE, 0, kFaultTag, faults_,
              &request);
    const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
    while (Clock::now() < deadline) {
      int unused = 0;
      if (request != MPI_REQUEST_NULL) MPI_Test(&request, &unused, MPI_STATUS_IGNORE);
      // Rank 0 may be waiting for a part of this rank's last call that MPI has not sent yet.
      MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, faults_, &unused, MPI_STATUS_IGNORE);
      std::this_thread::sleep_for(kPause);
    }
  }

  void abort(int code) override {
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
  }

  void finish() override {
    MPI_Request request = MPI_REQUEST_NULL;
    require(MPI_Ibarrier(MPI_COMM_WORLD, &request), "MPI_Ibarrier");
    wait(request, "MPI_Ibarrier");
    MPI_Comm_free(&faults_);
    MPI_Finalize();
  }

 private:
  void wait(MPI_Request& request, const char* call) {
    const auto start = Clock::now();
    while (true) {
      int done = 0;
      require(MPI_Test(&request, &done, MPI_STATUS_IGNORE), call);
      if (done) return;
      if (rank_ == 0) hear_faults();
      if (Clock::now() - start < kYielding)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(kPause);
    }
  }

  void hear_faults() {
    int waiting = 0;
    MPI_Status status;
    require(MPI_Iprobe(MPI_ANY_SOURCE, kFaultTag, faults_, &waiting, &status), "MPI_Iprobe");
    if (!waiting) return;
    int bytes = 0, code = 1;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    std::vector<char> message(static_cast<std::size_t>(bytes));
    require(MPI_Recv(message.data(), bytes, MPI_BYTE, status.MPI_SOURCE, kFaultTag, faults_,
                     MPI_STATUS_IGNORE),
            "MPI_Recv");
    std::memcpy(&code, message.data(), sizeof code);
    throw RankFault(std::string(message.begin() + sizeof code, message.end()), code);
  }

  int rank_ = 0, ranks_ = 1, local_rank_ = 0, local_ranks_ = 1;
  MPI_Comm faults_ = MPI_COMM_NULL;  // apart, so that no call's message is taken for a fault
};

}  // namespace

std::unique_ptr<MpiCommunicator> join_mpi() { return std::make_unique<Joined>(); }

}  // namespace maskwatch::kernels
