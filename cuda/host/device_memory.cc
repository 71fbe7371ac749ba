#include "cuda/host/device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>

#include "cuda/host/sanitizer.h"

namespace maskwatch::simt {
namespace {

constexpr std::size_t kAlignment = 256;
// Bytes behind each area, which belong to none.
constexpr std::size_t kGap = kAlignment;
constexpr std::size_t kPage = 4096;

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

DeviceMemory::DeviceMemory(std::size_t capacity, bool strict)
    : capacity_(round_up(capacity, kPage)), strict_(strict) {
  void* mapped =
      mmap(nullptr, capacity_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  begin_ = static_cast<unsigned char*>(mapped);
  free_[0] = capacity_;
}

DeviceMemory::~DeviceMemory() {
  sanitizer::allow(begin_, used_);
  munmap(begin_, capacity_);
}

// The first hole that is large enough.
void* DeviceMemory::allocate(std::size_t bytes) {
  if (bytes > capacity_) return nullptr;
  const std::size_t size = round_up(std::max<std::size_t>(bytes, 1), kAlignment) + kGap;
  const auto hole = std::find_if(free_.begin(), free_.end(),
                                 [size](const auto& area) { return area.second >= size; });
  if (hole == free_.end()) return nullptr;
  const auto [offset, hole_size] = *hole;
  free_.erase(hole);
  if (hole_size > size) free_[offset + size] = hole_size - size;
  taken_[offset] = bytes;
  {
    const Open while_filling(*this);
    if (offset + size > used_) {
      const std::size_t before = used_;
      used_ = round_up(offset + size, kPage);
      mprotect(begin_ + before, used_ - before, PROT_READ | PROT_WRITE);
      sanitizer::forbid(begin_ + before, used_ - before);
    }
    sanitizer::allow(begin_ + offset, bytes);
    std::memset(begin_ + offset, 0xff, bytes);
  }
  return begin_ + offset;
}

void DeviceMemory::release(void* memory) {
  if (!memory) return;
  const auto address = static_cast<unsigned char*>(memory);
  const auto area = address < begin_ || address >= begin_ + capacity_
                        ? taken_.end()
                        : taken_.find(static_cast<std::size_t>(address - begin_));
  if (area == taken_.end()) throw std::invalid_argument("simt: release of what is not allocated");
  auto [offset, bytes] = *area;
  taken_.erase(area);
  sanitizer::forbid(begin_ + offset, bytes);
  std::size_t size = round_up(std::max<std::size_t>(bytes, 1), kAlignment) + kGap;
  const auto after = free_.find(offset + size);
  if (after != free_.end()) {
    size += after->second;
    free_.erase(after);
  }
  const auto next = free_.lower_bound(offset);
  if (next != free_.begin() && std::prev(next)->first + std::prev(next)->second == offset)
    std::prev(next)->second += size;
  else
    free_[offset] = size;
}

bool DeviceMemory::holds(const void* address, std::size_t bytes) const {
  const auto wanted = static_cast<const unsigned char*>(address);
  if (wanted < begin_ || wanted >= begin_ + capacity_) return false;
  const auto offset = static_cast<std::size_t>(wanted - begin_);
  auto area = taken_.upper_bound(offset);
  if (area == taken_.begin()) return false;
  --area;
  return offset + bytes <= area->first + area->second;
}

void DeviceMemory::open() {
  if (opened_++ > 0 || !closed_) return;
  mprotect(begin_, used_, PROT_READ | PROT_WRITE);
  closed_ = false;
}

void DeviceMemory::close() {
  constexpr std::size_t bytes_of_call = std::size_t{512} << 10;
  if (--opened_ > 0 || !strict_ || used_ == 0) return;
  owed_ += bytes_of_call;
  if (owed_ < used_) return;
  owed_ = 0;
  mprotect(begin_, used_, PROT_NONE);
  closed_ = true;
}

DeviceMemory& device_memory() {
  static DeviceMemory* memory = [] {
    const char* strict = std::getenv("SIMT_STRICT");
    constexpr std::size_t capacity = std::size_t{64} << 30;
    return new DeviceMemory(capacity, !strict || std::string(strict) != "0");
  }();
  return *memory;
}

}  // namespace maskwatch::simt
