// The executor: what kernels may do runs as on a GPU, and what they may not is told with its line.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "cuda/host/device_memory.h"
#include "cuda/host/simt_device.h"
#include "cuda/simt.h"

namespace maskwatch::simt {
namespace {

// Numbers in the device's memory.
template <typename T>
class OnDevice {
 public:
  explicit OnDevice(std::size_t count) : count_(count) {
    memory_ = static_cast<T*>(device().allocate(count * sizeof(T)));
  }
  explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size()) {
    device().copy_in(memory_, values.data(), values.size() * sizeof(T));
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { device().release(memory_); }

  operator T*() const { return memory_; }
  std::vector<T> values() const {
    std::vector<T> values(count_);
    device().copy_out(values.data(), memory_, count_ * sizeof(T));
    return values;
  }

 private:
  T* memory_;
  std::size_t count_;
};

class InOrder {
 public:
  explicit InOrder(Order wanted) : before_(order()) { set_order(wanted); }
  InOrder(const InOrder&) = delete;
  InOrder& operator=(const InOrder&) = delete;
  ~InOrder() { set_order(before_); }

 private:
  Order before_;
};

constexpr Order kOrders[] = {Order::forward, Order::backward, Order::shuffled};

// The message of the KernelError that `run` ends in; empty if it ends well.
template <typename Run>
std::string error_of(const Run& run) {
  try {
    run();
  } catch (const KernelError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// "tests/cuda/executor_test.cc:123"
std::string line(int number) { return "executor_test.cc:" + std::to_string(number); }

// --- Indices, blocks, shared memory ---

__global__ void write_indices(unsigned* to) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  to[block * blockDim.x * blockDim.y * blockDim.z + thread] =
      block * 1'000'000 + threadIdx.z * 10'000 + threadIdx.y * 100 + threadIdx.x;
}

// Each block turns its part round through shared memory.
__global__ void reverse(float* to, const float* from, bool with_barrier) {
  float* shared = shared_memory<float>();
  const unsigned begin = blockIdx.x * blockDim.x;
  shared[threadIdx.x] = from[begin + threadIdx.x];
  if (with_barrier) __syncthreads();
  to[begin + threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

__global__ void sum_in_static_memory(float* to, const float* from) {
  __shared__ float sums[256];
  sums[threadIdx.x] = from[blockIdx.x * 256 + threadIdx.x];
  for (unsigned half = 128; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) to[blockIdx.x] = sums[0];
}

std::vector<float> counted(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i);
  return values;
}

// How many of the numbers that reverse() gives are wrong.
int wrongly_reversed(bool with_barrier) {
  constexpr int blocks = 5, threads = 256;
  const OnDevice<float> from(counted(blocks * threads)), to(blocks * threads);
  launch(reverse, blocks, threads, threads * sizeof(float), to, from, with_barrier);
  const std::vector<float> reversed = to.values();
  int wrong = 0;
  for (int b = 0; b < blocks; ++b)
    for (int i = 0; i < threads; ++i)
      wrong += reversed[b * threads + i] != static_cast<float>(b * threads + threads - 1 - i);
  return wrong;
}

// --- Mistakes ---

__global__ void two_barriers() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
constexpr int kFirstBarrier = __LINE__ - 4;

__global__ void barrier_of_a_part() {
  if (threadIdx.x == 7) return;
  __syncthreads();
}
constexpr int kBarrierOfAPart = __LINE__ - 2;

__global__ void missing_lane(int* to) {
  to[threadIdx.x] = __shfl_sync(0x0000ffffu, static_cast<int>(threadIdx.x), 0);
}
constexpr int kMissingLane = __LINE__ - 2;

__global__ void lanes_that_never_meet() {
  if (threadIdx.x < 16)
    __syncwarp();
  else
    __ballot_sync(0xffffffffu, 1);
}

__global__ void out_of_shared_memory() { shared_memory<float>()[64] = 1; }

__global__ void misaligned_copy(const float* from) {
  copy_async16(shared_memory<float>(), from + 1);
  copy_async_commit();
  copy_async_wait<0>();
}

__global__ void nothing() {}

// A warp adds through shared memory without __syncwarp between writing and reading.
__global__ void rotate_in_warp(int* to, bool with_barrier) {
  int* shared = shared_memory<int>();
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (with_barrier) __syncwarp();
  to[threadIdx.x] = shared[(threadIdx.x + 1) % 32];
}

// Double buffering that forgets to wait before it writes the buffer which others may still read.
__global__ void overwrite_too_early(int* to, bool with_barrier) {
  int* shared = shared_memory<int>();
  int sum = 0;
  for (int step = 0; step < 4; ++step) {
    if (with_barrier) __syncthreads();
    if (threadIdx.x == 0) shared[0] = step;
    __syncthreads();
    sum = sum * 10 + shared[0];
  }
  to[threadIdx.x] = sum;
}

int wrongly_rotated(bool with_barrier) {
  const OnDevice<int> to(32);
  launch(rotate_in_warp, 1, 32, 32 * sizeof(int), to, with_barrier);
  int wrong = 0;
  const std::vector<int> rotated = to.values();
  for (int i = 0; i < 32; ++i) wrong += rotated[i] != (i + 1) % 32;
  return wrong;
}

int wrongly_summed(bool with_barrier) {
  const OnDevice<int> to(96);
  launch(overwrite_too_early, 1, 96, sizeof(int), to, with_barrier);
  int wrong = 0;
  for (const int sum : to.values()) wrong += sum != 123;
  return wrong;
}

template <typename Wrong>
int schedules_that_find(const Wrong& wrong) {
  int found = 0;
  for (const Order order : kOrders) {
    const InOrder guard(order);
    found += wrong(false) > 0;
    CHECK(wrong(true) == 0);
  }
  return found;
}

// --- Asynchronous copies ---

__global__ void copy_through(float* to, const float* from, bool wait) {
  float* shared = shared_memory<float>();
  copy_async16(shared + 4 * threadIdx.x, from + 4 * threadIdx.x, threadIdx.x == 1 ? 8 : 16);
  copy_async_commit();
  copy_async4(shared + 8 + threadIdx.x, from + 8 + threadIdx.x);
  copy_async_commit();
  if (wait) copy_async_wait<1>();  // the second group need not have arrived
  __syncwarp(3);
  for (unsigned i = threadIdx.x; i < 10; i += 2) to[i] = shared[i];
}

}  // namespace

TEST_CASE("executor: every thread of every block runs once, with its indices") {
  for (const Order order : kOrders) {
    const InOrder guard(order);
    const dim3 grid(3, 2, 2), block(5, 3, 2);
    const OnDevice<unsigned> to(12 * 30);
    launch(write_indices, grid, block, 0, to);
    const std::vector<unsigned> indices = to.values();
    for (unsigned b = 0; b < 12; ++b)
      for (unsigned t = 0; t < 30; ++t)
        REQUIRE(indices[b * 30 + t] == b * 1'000'000 + t / 15 * 10'000 + t / 5 % 3 * 100 + t % 5);
  }
}

TEST_CASE("executor: blocks have shared memory of their own on any number of threads") {
  std::vector<float> ones(256 * 100);
  for (std::size_t i = 0; i < ones.size(); ++i) ones[i] = static_cast<float>(i / 256);
  const OnDevice<float> from(ones), to(100);
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    launch(sum_in_static_memory, 100, 256, 0, to, from);
    set_threads(0);
    const std::vector<float> sums = to.values();
    for (std::size_t b = 0; b < 100; ++b) REQUIRE(sums[b] == static_cast<float>(256 * b));
  }
}

TEST_CASE("executor: a missing __syncthreads passes one schedule and fails the other") {
  for (const Order order : kOrders) {
    const InOrder guard(order);
    CHECK(wrongly_reversed(true) == 0);
  }
  // Behind all others the last thread of a block finds what it wants; so do all that read from
  // those before them.
  CHECK(schedules_that_find(wrongly_reversed) == 3);
  CHECK(schedules_that_find(wrongly_rotated) >= 2);
  CHECK(schedules_that_find(wrongly_summed) >= 1);
}

TEST_CASE("executor: dynamic shared memory is NaN before each block") {
  const InOrder guard(Order::forward);
  constexpr int threads = 256;
  const OnDevice<float> from(counted(2 * threads)), to(2 * threads);
  launch(reverse, 2, threads, threads * sizeof(float), to, from, false);
  const std::vector<float> reversed = to.values();
  // Thread 0 reads what thread 255 has not written yet, also in the second block.
  CHECK(std::isnan(reversed[0]));
  CHECK(std::isnan(reversed[threads]));
  CHECK(reversed[threads + 255] == static_cast<float>(threads));
}

TEST_CASE("executor: threads at different barriers, deadlocks and missing lanes have a line") {
  for (const Order order : kOrders) {
    const InOrder guard(order);
    const std::string barriers = error_of([] { launch(two_barriers, 1, 64, 0); });
    CHECK(contains(barriers, "threads of one block at different barriers"));
    CHECK(contains(barriers, line(kFirstBarrier)));
    CHECK(contains(barriers, line(kFirstBarrier + 2)));
    CHECK(contains(barriers, "32 threads"));

    const std::string part = error_of([] { launch(barrier_of_a_part, 2, 64, 0); });
    CHECK(contains(part, line(kBarrierOfAPart) + ": deadlock"));
    CHECK(contains(part, "1 thread (first (7, 0, 0)) ended"));
    CHECK(contains(part, "block (0, 0, 0)"));

    const OnDevice<int> to(32);
    const std::string missing = error_of([&] { launch(missing_lane, 1, 32, 0, to); });
    CHECK(contains(missing, line(kMissingLane)));
    CHECK(contains(missing, "is missing from its own mask"));

    const std::string apart = error_of([] { launch(lanes_that_never_meet, 1, 32, 0); });
    CHECK(contains(apart, "deadlock"));
    CHECK(contains(apart, "16 threads"));
  }
}

TEST_CASE("executor: goes on after an error") {
  CHECK(error_of([] { launch(two_barriers, 3, 64, 0); }) != "");
  CHECK(wrongly_reversed(true) == 0);
}

TEST_CASE("executor: refuses what no GPU runs") {
  CHECK(contains(error_of([] { launch(nothing, 1, 1025, 0); }), "at most 1024"));
  CHECK(contains(error_of([] { launch(nothing, 1, dim3(1, 1, 65), 0); }), "64 of them deep"));
  CHECK(contains(error_of([] { launch(nothing, 1, 0, 0); }), "without threads"));
  CHECK(contains(error_of([] { launch(nothing, dim3(1, 65536), 32, 0); }), "65535"));
  CHECK(contains(error_of([] { launch(nothing, 1, 32, kMostSharedBytes + 1); }), "227 KiB"));
  CHECK(error_of([] { launch(nothing, 1, 1024, kMostSharedBytes); }) == "");
  CHECK(error_of([] { launch(nothing, dim3(0, 3), 32, 0); }) == "");
}

TEST_CASE("executor: writes behind the shared memory and misaligned copies are found") {
  CHECK(contains(error_of([] { launch(out_of_shared_memory, 1, 1, 64 * sizeof(float)); }),
                 "wrote behind its 256 bytes"));
  CHECK(error_of([] { launch(out_of_shared_memory, 1, 1, 65 * sizeof(float)); }) == "");
  const OnDevice<float> from(8);
  CHECK(contains(error_of([&] { launch(misaligned_copy, 1, 1, 64, from); }), "not multiples"));
}

TEST_CASE("executor: asynchronous copies arrive when they are waited for, and no sooner") {
  const OnDevice<float> from(counted(10)), to(10);
  launch(copy_through, 1, 2, 10 * sizeof(float), to, from, true);
  const std::vector<float> copied = to.values();
  for (const int i : {0, 2, 4}) CHECK(copied[i] == static_cast<float>(i));
  CHECK(copied[5] == 5);
  CHECK(copied[7] == 0);  // behind the 8 bytes that were asked for
  CHECK(std::isnan(copied[8]));
  CHECK(std::isnan(copied[9]));
  launch(copy_through, 1, 2, 10 * sizeof(float), to, from, false);
  CHECK(std::isnan(to.values()[0]));
}

TEST_CASE("simt: a recording runs when it is asked to, on the memory that it had") {
  const OnDevice<float> a(counted(256)), b(256), c(256);
  const auto recorded = device().record([&] {
    launch(reverse, 1, 256, 1024, b, a, true);
    device().copy(c, b, 1024);
  });
  REQUIRE(recorded);
  CHECK(std::isnan(c.values()[0]));
  recorded->run();
  CHECK(c.values()[0] == 255);
  device().copy_in(a, std::vector<float>(256, 7.0f).data(), 1024);
  recorded->run();
  CHECK(c.values()[0] == 7);
  CHECK_THROWS_AS(device().record([&] { a.values(); }), KernelError);
  CHECK(c.values()[0] == 7);  // and that is not recorded
}

TEST_CASE("simt: memory is given out, taken back and put together again") {
  DeviceMemory memory(1 << 20);
  void* const a = memory.allocate(1000);
  void* const b = memory.allocate(1000);
  CHECK(reinterpret_cast<std::uintptr_t>(a) % 256 == 0);
  CHECK(memory.holds(a, 1000));
  CHECK_FALSE(memory.holds(a, 1001));
  CHECK_FALSE(memory.holds(&memory));
  CHECK(memory.allocate(1 << 20) == nullptr);
  memory.release(a);
  CHECK_FALSE(memory.holds(a));
  CHECK(memory.allocate(500) == a);
  memory.release(b);
  memory.release(a);
  CHECK(memory.allocate((1 << 20) - 256) == a);
  CHECK_THROWS_AS(memory.release(b), std::invalid_argument);
}

TEST_CASE("simt: the host dies when it touches memory of the device") {
  DeviceMemory memory(1 << 20);
  auto* const number = static_cast<float*>(memory.allocate(sizeof(float)));
  {
    const DeviceMemory::Open open(memory);
    *number = 1;
  }
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);  // not doctest's report
    _exit(*number == 1 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  if (WIFSIGNALED(status)) CHECK(WTERMSIG(status) == SIGSEGV);
}

TEST_CASE("simt: copies that leave the memory of the device are refused") {
  const OnDevice<float> a(10);
  float host[11] = {};
  CHECK_THROWS_AS(device().copy_in(a, host, sizeof(host)), KernelError);
  CHECK_THROWS_AS(device().copy_in(host, host, 4), KernelError);
  CHECK_THROWS_AS(device().copy_out(host, a + 1, 40), KernelError);
  CHECK_THROWS_AS(device().fill_zero(host, 4), KernelError);
  device().fill_zero(a, 40);
  CHECK(a.values() == std::vector<float>(10, 0.0f));
}

}  // namespace maskwatch::simt
