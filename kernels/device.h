// Where arithmetic runs: memory, the order of calls, and the table of operations. The CPU is one
// device, a GPU another.
//
// Calls of a table and of copy_in, copy and fill_zero are queued and run in their order; the host
// waits for them in copy_out and synchronize. On the CPU nothing waits: each call is done when it
// returns.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "kernels/table.h"

namespace maskwatch::kernels {

struct QuantizedTable;

// Calls of a device kept as one, as a CUDA graph is.
class Recorded {
 public:
  virtual ~Recorded() = default;
  // Queues them once more, on the memory that they had.
  virtual void run() = 0;
};

// Threads that share a device other than the CPU hold its mutex while they queue what belongs
// together. Failures of a GPU: std::runtime_error.
class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  // "cpu", "cuda:0", "simt" (a GPU's kernels on the CPU, for tests)
  virtual const std::string& name() const = 0;
  virtual const Table<float>& table() const = 0;
  // The operations in int8 (kernels/quantized.h); null where the device has none.
  virtual const QuantizedTable* quantized_table() const { return nullptr; }
  // Whether the host may read and write this device's memory.
  virtual bool on_host() const = 0;

  // `bytes` of memory, aligned to 256 bytes, not cleared; null where there is no more.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) = 0;

  virtual void copy_in(void* to, const void* host, std::size_t bytes) = 0;
  // Waits for all calls before it.
  virtual void copy_out(void* host, const void* from, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  virtual void fill_zero(void* to, std::size_t bytes) = 0;
  virtual void synchronize() = 0;

  // Host memory that copy_in reads fastest, freed with its last owner.
  virtual std::shared_ptr<void> staging(std::size_t bytes) = 0;
  // What `work` queues, to be run again; it runs nothing itself. Null where the device has no such
  // thing: call `work` instead.
  virtual std::unique_ptr<Recorded> record(const std::function<void()>& work) = 0;

  std::mutex& mutex() { return mutex_; }

 private:
  std::mutex mutex_;
};

// The CPU with the table cpu(); or with the reference, to compare. Never destroyed.
Device& cpu_device();
// A device by its name: "cpu"; "cuda:N", a GPU; "cuda", the GPU `first`; or "auto", that GPU, or
// the CPU where it cannot be had, and then explain() is told why. GPUs stay open until the process
// ends. std::invalid_argument for another name; std::runtime_error with one line that says what a
// GPU lacks. It is defined in cuda/, whether the build has code for GPUs or not.
Device& device_named(const std::string& name, int first = 0,
                     const std::function<void(const std::string&)>& explain = {});
// A device on the host's memory with another table. The tables must outlive it.
std::unique_ptr<Device> host_device(std::string name, const Table<float>& table,
                                    const QuantizedTable* quantized = nullptr);

}  // namespace maskwatch::kernels
