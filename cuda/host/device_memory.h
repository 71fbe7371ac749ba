// The executor's device memory: addresses that the host cannot touch except while a kernel or a
// copy runs, so that code which takes them for its own dies as it would with a GPU. The
// environment's SIMT_STRICT=0 leaves them open.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>

namespace maskwatch::simt {

class DeviceMemory {
 public:
  // `capacity` bytes of addresses; memory is taken as it is used. std::bad_alloc.
  explicit DeviceMemory(std::size_t capacity, bool strict = true);
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory();

  // Aligned to 256 bytes, and NaN throughout; null where there is no more. Under AddressSanitizer
  // what lies between two areas must not be touched.
  void* allocate(std::size_t bytes);
  // std::invalid_argument for what allocate() has not given out.
  void release(void* memory);
  // Whether [address, address + bytes) lies within one area that is allocated.
  bool holds(const void* address, std::size_t bytes = 0) const;

  class Open {
   public:
    explicit Open(DeviceMemory& memory) : memory_(memory) { memory_.open(); }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;
    ~Open() { memory_.close(); }

   private:
    DeviceMemory& memory_;
  };

 private:
  void open();
  void close();

  const std::size_t capacity_;
  const bool strict_;
  unsigned char* begin_ = nullptr;
  std::size_t used_ = 0;  // bytes from the begin on that were ever given out
  int opened_ = 0;
  bool closed_ = false;
  std::size_t owed_ = 0;                             // bytes that calls have paid for to be closed
  std::map<std::size_t, std::size_t> taken_, free_;  // size of the area at an offset
};

// That of the process.
DeviceMemory& device_memory();

}  // namespace maskwatch::simt
