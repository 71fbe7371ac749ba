// What AddressSanitizer must be told of memory and of fibers; nothing in other builds.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define MASKWATCH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MASKWATCH_ASAN 1
#endif
#endif

#ifdef MASKWATCH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace maskwatch::simt::sanitizer {

struct Stack {
  const void* bottom = nullptr;
  std::size_t size = 0;
};

#ifdef MASKWATCH_ASAN

inline void forbid(const void* memory, std::size_t bytes) {
  __asan_poison_memory_region(memory, bytes);
}
inline void allow(const void* memory, std::size_t bytes) {
  __asan_unpoison_memory_region(memory, bytes);
}
// Before a switch to the stack `to`; `own`: where the sanitizer keeps what is the caller's, null if
// it will not come back.
inline void begin_switch(void** own, const Stack& to) {
  __sanitizer_start_switch_fiber(own, to.bottom, to.size);
}
// After a switch, on the stack that was switched to; returns the one that was left.
inline Stack end_switch(void* own) {
  Stack left;
  __sanitizer_finish_switch_fiber(own, &left.bottom, &left.size);
  return left;
}

#else

inline void forbid(const void*, std::size_t) {}
inline void allow(const void*, std::size_t) {}
inline void begin_switch(void**, const Stack&) {}
inline Stack end_switch(void*) { return {}; }

#endif

}  // namespace maskwatch::simt::sanitizer
