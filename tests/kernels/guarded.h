// Memory that notices whoever leaves it: pages that cannot be touched on both sides, and a byte
// pattern in what is left of its own pages.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

namespace maskwatch::kernel_cases {

enum class Placement {
  page_start,  // aligned; the byte before cannot be touched
  page_end,    // the byte after cannot be touched
  misaligned,  // one number past an aligned address
};

template <typename T>
class Guarded {
 public:
  Guarded(std::span<const T> values, Placement placement) : size_(values.size()) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    inner_bytes_ = ((size_ + 1) * sizeof(T) + page - 1) / page * page;
    mapped_bytes_ = inner_bytes_ + 2 * page;
    mapped_ = mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) throw std::bad_alloc();
    inner_ = static_cast<std::uint8_t*>(mapped_) + page;
    mprotect(inner_, inner_bytes_, PROT_READ | PROT_WRITE);
    std::fill_n(inner_, inner_bytes_, pattern);
    data_ = reinterpret_cast<T*>(inner_ + offset(placement));
    std::copy(values.begin(), values.end(), data_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  Guarded(Guarded&& other) noexcept { *this = std::move(other); }
  Guarded& operator=(Guarded&& other) noexcept {
    std::swap(mapped_, other.mapped_);
    std::swap(mapped_bytes_, other.mapped_bytes_);
    std::swap(inner_, other.inner_);
    std::swap(inner_bytes_, other.inner_bytes_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Guarded() {
    if (mapped_) munmap(mapped_, mapped_bytes_);
  }

  T* data() const { return data_; }
  std::span<const T> values() const { return {data_, size_}; }

  // Whether the bytes around the array are as they were.
  bool intact() const {
    const auto is_pattern = [](std::uint8_t byte) { return byte == pattern; };
    const std::uint8_t* begin = reinterpret_cast<const std::uint8_t*>(data_);
    return std::all_of(static_cast<const std::uint8_t*>(inner_), begin, is_pattern) &&
           std::all_of(begin + size_ * sizeof(T),
                       static_cast<const std::uint8_t*>(inner_) + inner_bytes_, is_pattern);
  }

 private:
  static constexpr std::uint8_t pattern = 0xA5;

  std::size_t offset(Placement placement) const {
    if (placement == Placement::page_start) return 0;
    if (placement == Placement::misaligned) return sizeof(T);
    return inner_bytes_ - size_ * sizeof(T);
  }

  void* mapped_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::uint8_t* inner_ = nullptr;
  std::size_t inner_bytes_ = 0;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace maskwatch::kernel_cases
