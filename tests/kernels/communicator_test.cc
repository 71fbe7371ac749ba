// One process, and ranks that are threads; MPI's are in mpi_ranks.cc.
#include "kernels/communicator.h"

#include <doctest/doctest.h>

#include <mutex>

#include "tests/kernels/communicator_cases.h"
#include "tests/kernels/thread_communicator.h"

using namespace maskwatch;

TEST_CASE("values reach the ranks that they are meant for") {
  kernels::OneProcess alone;
  CHECK(faults_of(alone) == std::vector<std::string>{});
  for (const int ranks : {1, 2, 3, 5}) {
    std::mutex mutex;
    std::vector<std::string> faults;
    on_threads(ranks, [&](kernels::Communicator& communicator) {
      const auto mine = faults_of(communicator);
      const std::lock_guard lock(mutex);
      faults.insert(faults.end(), mine.begin(), mine.end());
    });
    CHECK(faults == std::vector<std::string>{});
  }
}

TEST_CASE("a rank that is lost ends the others' waiting") {
  CHECK_THROWS_AS(on_threads(3,
                             [](kernels::Communicator& communicator) {
                               if (communicator.rank() == 1) throw std::domain_error("lost");
                               int value = 0;
                               communicator.broadcast(&value, sizeof value, 0);
                             }),
                  std::domain_error);
}
